"""The Track API v1: single people, manual segments, and the region of the account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Raw, Struct
from starlette.responses import Response

from airflow_provider_cio.emulator.identifiers_json import ToObject, relationships_of_person
from airflow_provider_cio.emulator.limits import MAX_SEGMENT_IDS, MAX_VALUE_BYTES
from airflow_provider_cio.emulator.operation_json import to_problem
from airflow_provider_cio.emulator.operations import (
    AddRelationships,
    DeletePerson,
    DeleteRelationships,
    IdentifyPerson,
    PersonRef,
)
from airflow_provider_cio.emulator.person_json import Timestamp
from airflow_provider_cio.emulator.responses import HEADERS, JSON_MEDIA_TYPE, json_response
from airflow_provider_cio.emulator.track_v2 import accepted_response
from airflow_provider_cio.emulator.validation import (
    UNREADABLE,
    VALUE_TOO_LONG,
    Problem,
    RawAttributes,
    RejectedError,
    check_attributes,
    check_id,
    event_operation,
    invalid,
    pop_flag,
    to_text,
)
from airflow_provider_cio.emulator.workspace import as_person_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from airflow_provider_cio.emulator.counters import Counters
    from airflow_provider_cio.emulator.operations import Operation
    from airflow_provider_cio.emulator.records import Person, Segment
    from airflow_provider_cio.emulator.store import Store
    from airflow_provider_cio.emulator.workspace import Workspace

WORKSPACE_ID = 1
_REGION = {"url": "https://track.customer.io", "region": "us", "environment_id": WORKSPACE_ID}


class Relationships(Struct):
    """``cio_relationships`` in the attributes of a person."""

    action: Literal["add_relationships", "delete_relationships"]
    relationships: list[ToObject]


class EventBody(Struct):
    """The body of a request with an event."""

    name: str
    data: Raw = Raw(b"{}")
    type: Literal["event", "page", "screen"] = "event"


class SegmentBody(Struct):
    """The body of a request that changes a segment."""

    ids: list[str]


_decode_attributes = msgspec.json.Decoder(RawAttributes).decode
_decode_relationships = msgspec.json.Decoder(Relationships).decode
_decode_event = msgspec.json.Decoder(EventBody).decode
_decode_segment = msgspec.json.Decoder(SegmentBody).decode
_decode_timestamp = msgspec.json.Decoder(Timestamp).decode


@dataclass(frozen=True)
class TrackV1:
    """The endpoints of v1.

    Args:
        store: Holds the workspace; each request is one transaction.
        workspace: Applies operations to the store.
        counters: Count accepted and rejected operations.
    """

    store: Store
    workspace: Workspace
    counters: Counters

    async def region(self, _request: Request) -> Response:
        """``GET /api/v1/accounts/region``."""
        return json_response(_REGION)

    async def identify(self, request: Request) -> Response:
        """``PUT /api/v1/customers/{identifier}``."""
        return self._apply(_identify_operations, _person_in_path(request), await request.body())

    async def delete(self, request: Request) -> Response:
        """``DELETE /api/v1/customers/{identifier}``."""
        return self._apply(lambda person, _: [DeletePerson(person)], _person_in_path(request), b"")

    async def event(self, request: Request) -> Response:
        """``POST /api/v1/customers/{identifier}/events``."""
        return self._apply(_event_operations, _person_in_path(request), await request.body())

    async def unapplied(self, _request: Request) -> Response:
        """Accept devices, suppression, merges and anonymous events, without applying them."""
        return accepted_response()

    async def add_to_segment(self, request: Request) -> Response:
        """``POST /api/v1/segments/{segment_id}/add_customers``."""
        return await self._change_members(request, self.store.add_member)

    async def remove_from_segment(self, request: Request) -> Response:
        """``POST /api/v1/segments/{segment_id}/remove_customers``."""
        return await self._change_members(request, self.store.remove_member)

    def _apply(
        self, read: Callable[[PersonRef, bytes], list[Operation]], person: PersonRef, body: bytes
    ) -> Response:
        try:
            check_id(person.value, person.key)
            operations = read(person, body)
        except RejectedError as rejection:
            self.counters.rejected += 1
            return _refusal(*(_v1_message(problem) for problem in rejection.problems))
        with self.store.transaction():
            for operation in operations:
                self.workspace.apply(operation)
        self.counters.operations += 1
        return accepted_response()

    async def _change_members(self, request: Request, change: Callable[[Segment, Person], None]) -> Response:
        """Add or remove people. Values that do not identify a person are ignored, as documented."""
        key = as_person_key(request.query_params.get("id_type", "id"))
        segment = self.store.segment(request.path_params["segment_id"])
        try:
            ids = _decode_segment(await request.body()).ids
        except UNREADABLE:
            return _refusal("ids must be an array of strings")
        if key is None:
            return _refusal("id_type must be one of id, email, cio_id")
        if not 1 <= len(ids) <= MAX_SEGMENT_IDS:
            return _refusal(f"ids must have between 1 and {MAX_SEGMENT_IDS} values")
        if segment is None:  # Customer.io's response to an unknown segment is not documented.
            return _refusal("segment not found")
        if segment.type != "manual":
            return _refusal("people can only be added to or removed from manual segments")
        with self.store.transaction():
            for value in ids:
                person = self.store.person(PersonRef(key, value))
                if person is not None:
                    change(segment, person)
        return accepted_response()


def _person_in_path(request: Request) -> PersonRef:
    """Return a reference to the person in the path. The form of the value decides which identifier it is."""
    identifier = request.path_params["identifier"]
    if identifier.startswith("cio_"):
        return PersonRef("cio_id", identifier.removeprefix("cio_"))
    return PersonRef("email" if "@" in identifier else "id", identifier)


def _identify_operations(person: PersonRef, body: bytes) -> list[Operation]:
    """Return the operations of a person's flat attributes.

    Raises:
        RejectedError: The body is not valid.
    """
    try:
        attributes = _decode_attributes(body)
        timestamp = attributes.pop("_timestamp", None)
        at = None if timestamp is None else _decode_timestamp(timestamp)
        relationships = attributes.pop("cio_relationships", None)
        related = None if relationships is None else _decode_relationships(relationships)
    except msgspec.ValidationError as error:
        raise RejectedError(to_problem(error)) from error
    except UNREADABLE as error:
        raise invalid("", "request body is not valid JSON") from error
    if person.key == "id" and "id" in attributes and to_text(attributes["id"]) != person.value:
        raise invalid("id", "id attribute and identifier are not the same value")
    update_only = pop_flag(attributes, "_update")
    operations: list[Operation] = [
        IdentifyPerson(person, check_attributes(attributes, "attributes"), update_only, at)
    ]
    if related is not None:
        change = AddRelationships if related.action == "add_relationships" else DeleteRelationships
        operations.append(change(relationships_of_person(person, related.relationships)))
    return operations


def _event_operations(person: PersonRef, body: bytes) -> list[Operation]:
    """Return the operation of an event.

    Raises:
        RejectedError: The body is not valid.
    """
    try:
        content = _decode_event(body)
    except msgspec.ValidationError as error:
        raise RejectedError(to_problem(error)) from error
    except UNREADABLE as error:
        raise invalid("", "request body is not valid JSON") from error
    return [event_operation(person, content.type, content.name, content.data)]


def _v1_message(found: Problem) -> str:
    """Return the message of a problem in v1, which has no separate field."""
    if found.message == VALUE_TOO_LONG:
        name = found.field.removeprefix("attributes.")
        return f"value for attribute '{name}' cannot be longer than {MAX_VALUE_BYTES} bytes"
    return found.message


def _refusal(*messages: str) -> Response:
    """Return a 400 of v1, whose JSON is indented and has a list of messages."""
    content = msgspec.json.format(msgspec.json.encode({"meta": {"errors": messages}}), indent=2) + b"\n"
    return Response(content, 400, headers=HEADERS, media_type=JSON_MEDIA_TYPE)
