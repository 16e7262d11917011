"""Identifiers of people and objects, checked as Customer.io would check them before it silently drops a row.

A whole column is checked at once, by functions that run in C. Values are checked one by one only where a
column holds something unusual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_cio.engine.mapping.emails import are_ordinary_emails, is_email
from airflow_provider_cio.engine.mapping.row_problems import RowProblem
from airflow_provider_cio.engine.value_text import value_text
from airflow_provider_cio.track.limits import IDENTIFIER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.mapping.row_problems import RowProblems


#: The types for which `str` returns the same text as `value_text`, several times faster.
_PLAIN = {str, int}


def as_texts(values: Sequence[Any]) -> list[str]:
    """Return identifiers as the texts that are sent and reported. NULL becomes an empty text."""
    return list(map(str if set(map(type, values)) <= _PLAIN else value_text, values))


def identifier_texts(
    name: str, values: Sequence[Any], problems: RowProblems, path: str = "identifiers"
) -> list[str]:
    """Check a column of identifiers and return its values as texts.

    Args:
        name: The name of the column: ``id``, ``email`` or ``object_id``.
        values: The values of a chunk of rows.
        problems: Receives the rows whose identifier is NULL, blank, too long, or not an email address.
        path: Where the value is sent: among the ``identifiers`` or the ``attributes``.
    """
    if _are_ordinary(name, values):
        return list(map(str, values))
    texts = as_texts(values)
    for index, text in enumerate(texts):
        if problem := _problem(name, text, is_null=values[index] is None):
            problems.setdefault(index, RowProblem(f"{path}.{name}", *problem))
    return texts


def secondary_identifier_texts(
    name: str, values: Sequence[Any], problems: RowProblems
) -> list[str | msgspec.UnsetType]:
    """Check a column of identifiers that is sent as an attribute, beside the identifier of the row.

    A NULL is left out: it must not remove the other identifier of a person.
    """
    indexes = [index for index, value in enumerate(values) if value is not None]
    found: RowProblems = {}
    texts = identifier_texts(name, [values[index] for index in indexes], found, "attributes")
    for index, problem in found.items():
        problems.setdefault(indexes[index], problem)
    result: list[str | msgspec.UnsetType] = [msgspec.UNSET] * len(values)
    for index, text in zip(indexes, texts, strict=True):
        result[index] = text
    return result


def _are_ordinary(name: str, values: Sequence[Any]) -> bool:
    """Return whether all values are clearly valid, as in most columns."""
    types = set(map(type, values))
    if types == {int}:
        return name != "email"
    if types != {str} or not all(map(str.isascii, values)) or max(map(len, values)) > IDENTIFIER_BYTES:
        return not types
    return are_ordinary_emails(values) if name == "email" else all(map(str.strip, values))


def _problem(name: str, text: str, *, is_null: bool) -> tuple[str, str] | None:
    """Return the reason and the message for an identifier that cannot be sent."""
    if is_null:
        return "required", f"the row has no {name}"
    if not text or text.isspace():
        return "required", f"{name} is blank. Where a row has no {name}, select NULLIF({name}, '')"
    if len(text.encode()) > IDENTIFIER_BYTES:
        return "invalid", f"{name} is longer than {IDENTIFIER_BYTES} bytes"
    if name == "email" and not is_email(text):
        return "invalid", "email is not a valid address (RFC 5322)"
    return None
