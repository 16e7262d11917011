"""Decode the JSON of Track API operations.

The decoder checks presence and type of every field in one pass, because each kind of operation is a type. The
rules that types cannot express are checked by hand: one identifier, sizes, the limits of attributes.
"""

from __future__ import annotations

import re
from typing import Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from airflow_provider_cio.emulator.limits import MAX_OPERATION_BYTES
from airflow_provider_cio.emulator.object_json import (
    ObjectAddRelationships,
    ObjectDelete,
    ObjectDeleteRelationships,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
)
from airflow_provider_cio.emulator.operations import Operation, Unapplied
from airflow_provider_cio.emulator.person_json import (
    PersonAddRelationships,
    PersonDelete,
    PersonDeleteRelationships,
    PersonDevice,
    PersonEvent,
    PersonIdentify,
    PersonMerge,
    PersonSuppression,
)
from airflow_provider_cio.emulator.validation import UNREADABLE, Problem, RejectedError, invalid, required


class DeviceToken(Struct):
    """The device that received a message."""

    device_token: str


class DeliveryEvent(Struct):
    """``delivery`` ``event``."""

    identifiers: dict[str, str]
    name: Literal["opened", "converted", "delivered"]
    attributes: DeviceToken

    def operation(self) -> Operation:
        """Return the operation."""
        return Unapplied()


class OperationJson(Protocol):
    """The JSON of one kind of operation."""

    def operation(self) -> Operation:
        """Return the operation.

        Raises:
            RejectedError: A value is not valid.
        """


#: The kinds of operations, by type and action.
_OPERATION_TYPES: dict[tuple[str, str], type[OperationJson]] = {
    ("person", "identify"): PersonIdentify,
    ("person", "delete"): PersonDelete,
    ("person", "event"): PersonEvent,
    ("person", "screen"): PersonEvent,
    ("person", "page"): PersonEvent,
    ("person", "add_relationships"): PersonAddRelationships,
    ("person", "delete_relationships"): PersonDeleteRelationships,
    ("person", "add_device"): PersonDevice,
    ("person", "delete_device"): PersonDevice,
    ("person", "merge"): PersonMerge,
    ("person", "suppress"): PersonSuppression,
    ("person", "unsuppress"): PersonSuppression,
    ("object", "identify"): ObjectIdentify,
    ("object", "identify_anonymous"): ObjectIdentifyAnonymous,
    ("object", "delete"): ObjectDelete,
    ("object", "add_relationships"): ObjectAddRelationships,
    ("object", "delete_relationships"): ObjectDeleteRelationships,
    ("delivery", "event"): DeliveryEvent,
}


class _Head(Struct):
    """The fields that decide which kind of operation it is."""

    type: Literal["person", "object", "delivery"]
    action: str


_head = msgspec.json.Decoder(_Head)
_decoders = {pair: msgspec.json.Decoder(operation) for pair, operation in _OPERATION_TYPES.items()}


def parse_operation(encoded: bytes | memoryview | Raw) -> Operation:
    """Parse one item of a batch, or the body of an entity request.

    Args:
        encoded: The JSON of the operation.

    Raises:
        RejectedError: The JSON or a value in it is not valid, or exceeds a limit.
    """
    if len(memoryview(encoded)) > MAX_OPERATION_BYTES:
        raise invalid("", f"operation cannot be longer than {MAX_OPERATION_BYTES} bytes")
    try:
        head = _head.decode(encoded)
        decoder = _decoders.get((head.type, head.action))
        if decoder is None:
            raise invalid("action", f"action '{head.action}' is not allowed for type '{head.type}'")
        return decoder.decode(encoded).operation()
    except msgspec.ValidationError as error:
        raise RejectedError(to_problem(error)) from error
    except UNREADABLE as error:
        raise invalid("", "operation is not valid JSON") from error


def to_problem(error: msgspec.ValidationError) -> Problem:
    """Translate an error of the decoder, whose text contains a JSON path, into a problem of the Track API."""
    message, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    missing = re.fullmatch("Object missing required field `(.+)`", message)
    if missing:
        field = f"{field}.{missing[1]}" if field else missing[1]
        return required(field).problems[0]
    return Problem("invalid", field, message.replace("`", "'"))
