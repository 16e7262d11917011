"""The text of a value, as people read it in identifiers, reports and previews."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import msgspec


def value_text(value: Any) -> str:
    """Return a value as text: all digits of a number, lists and JSON as JSON, bytes in Base64, NULL empty."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")  # without an exponent
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, bool | list | dict | msgspec.Raw):
        return msgspec.json.encode(value).decode()
    return str(value)
