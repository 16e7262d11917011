"""Values that JSON, or Customer.io, cannot take."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import accumulate
from math import isfinite
from typing import Any

import msgspec

#: The deepest JSON that is sent. Deeper JSON is longer than the 1,000 bytes that Customer.io accepts.
JSON_LEVELS = 500

_read_json = msgspec.json.Decoder(msgspec.Raw).decode
#: Matches everything in a JSON text except its brackets.
_NO_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[^]["{}]++', re.DOTALL)


def finite(value: Any) -> Any:
    """Return the value with each NaN and infinity replaced by None: JSON has no such numbers."""
    if isinstance(value, list):
        return [finite(element) for element in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    return value


def json_problem(value: Any) -> str | None:
    """Return why a JSON value would make its whole batch unreadable, or None if it would not.

    Args:
        value: JSON as the database gives it, or a list of JSON values.
    """
    text = msgspec.json.encode(value)
    if len(text) > 2 * JSON_LEVELS and _levels(text) > JSON_LEVELS:
        return f"has JSON that is nested more than {JSON_LEVELS} levels deep"
    try:
        _read_json(text)
    except msgspec.DecodeError:
        return r"has JSON with half of a surrogate pair, such as \ud83d without the \ude00 that belongs to it"
    return None


def _levels(text: bytes) -> int:
    """Count how deep a JSON text is nested."""
    brackets = _NO_BRACKETS.sub(b"", text)
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
