"""The checks of single values, and the problems that the Track API reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

from airflow_provider_cio.emulator.limits import (
    MAX_ATTRIBUTES,
    MAX_EVENT_DATA_BYTES,
    MAX_EVENT_NAME_BYTES,
    MAX_ID_BYTES,
    MAX_NAME_BYTES,
    MAX_VALUE_BYTES,
)
from airflow_provider_cio.emulator.operations import RecordEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.emulator.operations import Attributes, PersonRef

#: Attributes by name, each value still as JSON.
RawAttributes: TypeAlias = dict[str, Raw]

#: What decoding raises for bytes that are not JSON, not UTF-8, or nested too deeply.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

VALUE_TOO_LONG = f"property value cannot be longer than {MAX_VALUE_BYTES} bytes"

_decode_string = msgspec.json.Decoder(str).decode
_decode_boolean = msgspec.json.Decoder(bool).decode
_decode_event_data = msgspec.json.Decoder(dict[str, Any]).decode


class Problem(Struct, frozen=True):
    """One problem of an operation, as v2 of the Track API reports it."""

    reason: str
    field: str
    message: str


class RejectedError(Exception):
    """Customer.io would reject the operation.

    Args:
        problems: Every problem of the operation.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


def invalid(field: str, message: str) -> RejectedError:
    """Return the error for a value that is not valid."""
    return RejectedError(Problem("invalid", field, message))


def required(field: str) -> RejectedError:
    """Return the error for a value that is missing."""
    return RejectedError(Problem("required", field, f"{field} is required"))


def is_longer_than(text: str, limit: int) -> bool:
    """Return whether a text takes more than `limit` bytes of UTF-8."""
    return len(text.encode()) > limit


def check_id(identifier: str, field: str) -> str:
    """Return an identifier that is neither empty nor too long.

    Args:
        identifier: The identifier.
        field: The path of its field.

    Raises:
        RejectedError: The identifier is empty or too long.
    """
    name = field.rpartition(".")[2]
    if not identifier:
        raise invalid(field, f"{name} cannot be an empty string")
    if is_longer_than(identifier, MAX_ID_BYTES):
        raise invalid(field, f"{name} cannot be longer than {MAX_ID_BYTES} bytes")
    return identifier


def to_text(value: Raw) -> str | None:
    """Return a JSON value as Customer.io stores it: text, or None for null.

    Numbers keep the digits with which they were sent, and nested values become compact JSON.
    """
    token = bytes(value)
    first = token[:1]
    if first == b'"':
        return _decode_string(token)
    if token == b"null":
        return None
    if first in (b"{", b"["):
        token = msgspec.json.format(token, indent=-1)
    return token.decode()


def check_attributes(raw: RawAttributes, path: str) -> Attributes:
    """Return attributes as text.

    Args:
        raw: The attributes.
        path: The path of their field.

    Raises:
        RejectedError: Attributes exceed a limit. It has one problem for each.
    """
    attributes = {name: to_text(value) for name, value in raw.items()}
    problems = tuple(_attribute_problems(attributes, path))
    if problems:
        raise RejectedError(*problems)
    return attributes


def _attribute_problems(attributes: Attributes, path: str) -> Iterator[Problem]:
    if len(attributes) > MAX_ATTRIBUTES:
        yield Problem(
            "invalid", path, f"cannot identify more than {MAX_ATTRIBUTES} attributes in one request"
        )
    for name, value in attributes.items():
        # A character takes at most four bytes, so most texts need no encoding to be short enough.
        if len(name) * 4 > MAX_NAME_BYTES and is_longer_than(name, MAX_NAME_BYTES):
            message = f"attribute name cannot be longer than {MAX_NAME_BYTES} bytes"
            yield Problem("invalid", f"{path}.{name}", message)
        if value and len(value) * 4 > MAX_VALUE_BYTES and is_longer_than(value, MAX_VALUE_BYTES):
            yield Problem("invalid", f"{path}.{name}", VALUE_TOO_LONG)


def without_empty(attributes: Attributes) -> Attributes:
    """Replace empty texts by None. Both remove an attribute of an object or a relationship."""
    return {name: value or None for name, value in attributes.items()}


def pop_flag(attributes: RawAttributes, name: str) -> bool:
    """Remove a control flag from attributes and return it; False if it is missing.

    Raises:
        RejectedError: The flag is not a boolean.
    """
    flag = attributes.pop(name, None)
    try:
        return flag is not None and _decode_boolean(flag)
    except msgspec.ValidationError as error:
        raise invalid(f"attributes.{name}", f"{name} must be a boolean") from error


def event_operation(person: PersonRef, activity: str, name: str, data: Raw) -> RecordEvent:
    """Return the operation for an event of a person.

    Args:
        person: The person.
        activity: ``event``, ``page`` or ``screen``.
        name: The event's name.
        data: The event's JSON object.

    Raises:
        RejectedError: The name or the data is not valid.
    """
    if not name.strip():
        raise invalid("name", "event name must not be blank")
    if is_longer_than(name, MAX_EVENT_NAME_BYTES):
        raise invalid("name", f"event name cannot be longer than {MAX_EVENT_NAME_BYTES} bytes")
    if len(bytes(data)) > MAX_EVENT_DATA_BYTES:
        raise invalid("attributes", f"event data cannot be longer than {MAX_EVENT_DATA_BYTES} bytes")
    try:
        content = _decode_event_data(data)
    except msgspec.ValidationError as error:
        raise invalid("attributes", "event data must be a hash") from error
    return RecordEvent(person, activity, name, content)
