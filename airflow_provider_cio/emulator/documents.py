"""Changes of the attributes of a record, within Customer.io's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_cio.emulator.limits import MAX_ATTRIBUTES
from airflow_provider_cio.emulator.operations import IDENTIFIERS

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.operations import Attributes
    from airflow_provider_cio.emulator.records import Document

#: Changes that were not applied, by attribute, with the keys ``from``, ``to`` and ``error``.
Failures: TypeAlias = dict[str, dict[str, str]]


def merge(document: Document, changes: Attributes, at: int, max_bytes: int | None = None) -> Failures:
    """Apply changes to a document.

    An unchanged value keeps its time, and a value that is newer than the change is kept.

    Args:
        document: The document.
        changes: The new values.
        at: The Unix seconds at which the new values were current.
        max_bytes: The largest size of all names and values.

    Returns:
        The changes that would exceed `max_bytes` or 300 attributes. Identifiers of people do not count.
    """
    failures: Failures = {}
    for name, value in changes.items():
        current = document.get(name)
        if current is not None and (current[0] == value or current[1] > at):
            continue
        if value is None:
            document.pop(name, None)
        elif (
            current is None
            and len(document) >= MAX_ATTRIBUTES
            and len(document.keys() - IDENTIFIERS) >= MAX_ATTRIBUTES
        ):
            failures[name] = failure(None, value, f"more than {MAX_ATTRIBUTES} attributes")
        else:
            document[name] = (value, at)
            if max_bytes is not None and _size(document) > max_bytes:
                failures[name] = failure(
                    current and current[0], value, f"more than {max_bytes} bytes of attributes"
                )
                if current is None:
                    del document[name]
                else:
                    document[name] = current
    return failures


def _size(document: Document) -> int:
    """Return the bytes of all names and values."""
    return sum(len(name.encode()) + len(value.encode()) for name, (value, _) in document.items())


def failure(current: str | None, wanted: str | None, error: str) -> dict[str, str]:
    """Return a change that was not applied, as the activity log has it."""
    return {"from": current or "", "to": wanted or "", "error": error}
