"""What names a person or an object, checked as Customer.io would, before it drops a row without a word.

A column is checked as a whole, by functions that Python runs at the speed of C; value by value only where
there is something out of the ordinary.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_cio.engine.mapping.emails import are_ordinary, is_email
from airflow_provider_cio.engine.mapping.row_problems import RowProblem
from airflow_provider_cio.track.limits import IDENTIFIER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.mapping.row_problems import RowProblems


def as_text(value: Any) -> str:
    """Write an identifier as it is sent; NULL is empty."""
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def identifier_texts(
    name: str, values: Sequence[Any], faults: RowProblems, path: str = "identifiers"
) -> list[str]:
    """Check a column of identifiers and return them as texts.

    Args:
        name: The column: ``id``, ``email`` or ``object_id``.
        values: Its values in a chunk of rows.
        faults: Gets the rows whose identifier is NULL, blank, too long, or no e-mail address.
        path: Where it goes: among the identifiers, or the attributes.
    """
    if _are_ordinary(name, values):
        return list(map(str, values))
    texts = list(map(as_text, values))
    for place, text in enumerate(texts):
        if wrong := _wrong(name, text, missing=values[place] is None):
            faults.setdefault(place, RowProblem(f"{path}.{name}", *wrong))
    return texts


def other_identifier_texts(
    name: str, values: Sequence[Any], faults: RowProblems
) -> list[str | msgspec.UnsetType]:
    """Check a column that is an attribute and might name a person, too.

    NULL is left out: it must not take away the other identifier of a person.
    """
    places = [place for place, value in enumerate(values) if value is not None]
    found: RowProblems = {}
    texts = identifier_texts(name, [values[place] for place in places], found, "attributes")
    for place, fault in found.items():
        faults.setdefault(places[place], fault)
    others: list[str | msgspec.UnsetType] = [msgspec.UNSET] * len(values)
    for place, text in zip(places, texts, strict=True):
        others[place] = text
    return others


def _are_ordinary(name: str, values: Sequence[Any]) -> bool:
    """Tell whether nothing can be wrong with any of the values, as with most."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return name != "email"
    if kinds != {str} or not all(map(str.isascii, values)) or max(map(len, values)) > IDENTIFIER_BYTES:
        return not kinds
    return are_ordinary(values) if name == "email" else all(map(str.strip, values))


def _wrong(name: str, text: str, *, missing: bool) -> tuple[str, str] | None:
    """Say what is wrong with an identifier: a word, and a sentence."""
    if missing:
        return "required", f"the row has no {name}"
    if not text or text.isspace():
        return "required", f"{name} is blank; for none, NULLIF({name}, '')"
    if len(text.encode()) > IDENTIFIER_BYTES:
        return "invalid", f"{name} is longer than {IDENTIFIER_BYTES} bytes"
    if name == "email" and not is_email(text):
        return "invalid", "email is no address by RFC 5322"
    return None
