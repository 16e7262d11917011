"""The Track API v1: single people, manual segments, the region of the account."""

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_cio.emulator.counters import Counters
from airflow_provider_cio.emulator.limits import (
    MAX_VALUE_BYTES,
    VALUE_TOO_LONG,
    Problem,
    RejectedError,
    invalid,
)
from airflow_provider_cio.emulator.operation_json import (
    UNREADABLE,
    RawAttributes,
    Timestamp,
    ToObject,
    checked_attributes,
    checked_id,
    event,
    objects_of,
    problem,
    take_flag,
    text,
)
from airflow_provider_cio.emulator.operations import (
    AddRelationships,
    DeletePerson,
    DeleteRelationships,
    IdentifyPerson,
    Operation,
    PersonRef,
)
from airflow_provider_cio.emulator.responses import HEADERS, json_answer
from airflow_provider_cio.emulator.store import Person, Segment, Store
from airflow_provider_cio.emulator.track_v2 import accepted
from airflow_provider_cio.emulator.workspace import Workspace, as_person_key

MAX_SEGMENT_IDS = 1_000

WORKSPACE_ID = 1
REGION = {"url": "https://track.customer.io", "region": "us", "environment_id": WORKSPACE_ID}


class Relationships(Struct):
    """``cio_relationships`` among the attributes of a person."""

    action: Literal["add_relationships", "delete_relationships"]
    relationships: list[ToObject]


class EventBody(Struct):
    """The body of an event request."""

    name: str
    data: Raw = Raw(b"{}")
    type: Literal["event", "page", "screen"] = "event"


class SegmentBody(Struct):
    """The body of both segment requests."""

    ids: list[str]


_attributes = msgspec.json.Decoder(RawAttributes)
_relationships = msgspec.json.Decoder(Relationships)
_event = msgspec.json.Decoder(EventBody)
_segment = msgspec.json.Decoder(SegmentBody)
_timestamp = msgspec.json.Decoder(Timestamp)


class TrackV1:
    """The endpoints of v1.

    Args:
        store: The transaction of a request.
        workspace: Where operations go.
        counters: Told what became of the operations.
    """

    def __init__(self, store: Store, workspace: Workspace, counters: Counters) -> None:
        self._store = store
        self._workspace = workspace
        self._counters = counters

    async def region(self, _request: Request) -> Response:
        """``GET /api/v1/accounts/region``."""
        return json_answer(REGION)

    async def identify(self, request: Request) -> Response:
        """``PUT /api/v1/customers/{identifier}``."""
        return self._apply(identify_operations, path_person(request), await request.body())

    async def delete(self, request: Request) -> Response:
        """``DELETE /api/v1/customers/{identifier}``."""
        return self._apply(lambda person, _: [DeletePerson(person)], path_person(request), b"")

    async def event(self, request: Request) -> Response:
        """``POST /api/v1/customers/{identifier}/events``."""
        return self._apply(event_operations, path_person(request), await request.body())

    async def unapplied(self, _request: Request) -> Response:
        """Devices, suppression, merges and anonymous events: accepted, and nothing changes here."""
        return accepted()

    async def add_to_segment(self, request: Request) -> Response:
        """``POST /api/v1/segments/{segment_id}/add_customers``."""
        return await self._change_members(request, self._store.add_member)

    async def remove_from_segment(self, request: Request) -> Response:
        """``POST /api/v1/segments/{segment_id}/remove_customers``."""
        return await self._change_members(request, self._store.remove_member)

    def _apply(
        self, read: Callable[[PersonRef, bytes], list[Operation]], person: PersonRef, body: bytes
    ) -> Response:
        try:
            checked_id(person.value, person.key)
            operations = read(person, body)
        except RejectedError as rejection:
            self._counters.rejected += 1
            return refusal(*(v1_message(problem) for problem in rejection.problems))
        with self._store.transaction():
            for operation in operations:
                self._workspace.apply(operation)
        self._counters.operations += 1
        return accepted()

    async def _change_members(self, request: Request, change: Callable[[Segment, Person], None]) -> Response:
        """Change the segment for everybody named; values that name nobody are ignored, as documented."""
        key = as_person_key(request.query_params.get("id_type", "id"))
        segment = self._store.segment(request.path_params["segment_id"])
        try:
            ids = _segment.decode(await request.body()).ids
        except UNREADABLE:
            return refusal("ids must be an array of strings")
        if key is None:
            return refusal("id_type must be one of id, email, cio_id")
        if not 1 <= len(ids) <= MAX_SEGMENT_IDS:
            return refusal(f"ids must have between 1 and {MAX_SEGMENT_IDS} values")
        if segment is None:  # What Customer.io answers to an unknown segment is not documented.
            return refusal("segment not found")
        if segment.type != "manual":
            return refusal("people can only be added to or removed from manual segments")
        with self._store.transaction():
            for value in ids:
                person = self._store.person(PersonRef(key, value))
                if person is not None:
                    change(segment, person)
        return accepted()


def path_person(request: Request) -> PersonRef:
    """The person in the path, by the shape of the value."""
    identifier = request.path_params["identifier"]
    if identifier.startswith("cio_"):
        return PersonRef("cio_id", identifier.removeprefix("cio_"))
    return PersonRef("email" if "@" in identifier else "id", identifier)


def identify_operations(person: PersonRef, body: bytes) -> list[Operation]:
    """What the flat attributes of a person ask for."""
    try:
        attributes = _attributes.decode(body)
        timestamp = attributes.pop("_timestamp", None)
        at = None if timestamp is None else _timestamp.decode(timestamp)
        relationships = attributes.pop("cio_relationships", None)
        related = None if relationships is None else _relationships.decode(relationships)
    except msgspec.ValidationError as error:
        raise RejectedError(problem(error)) from error
    except UNREADABLE as error:
        raise invalid("", "request body is not valid JSON") from error
    if person.key == "id" and "id" in attributes and text(attributes["id"]) != person.value:
        raise invalid("id", "id attribute and identifier are not the same value")
    update_only = take_flag(attributes, "_update")
    operations: list[Operation] = [
        IdentifyPerson(person, checked_attributes(attributes, "attributes"), update_only, at)
    ]
    if related is not None:
        change = AddRelationships if related.action == "add_relationships" else DeleteRelationships
        operations.append(change(objects_of(person, related.relationships)))
    return operations


def event_operations(person: PersonRef, body: bytes) -> list[Operation]:
    """What an event asks for."""
    try:
        content = _event.decode(body)
    except msgspec.ValidationError as error:
        raise RejectedError(problem(error)) from error
    except UNREADABLE as error:
        raise invalid("", "request body is not valid JSON") from error
    return [event(person, content.type, content.name, content.data)]


def v1_message(found: Problem) -> str:
    """The problem in the words of v1, which has no separate field."""
    if found.message == VALUE_TOO_LONG:
        name = found.field.removeprefix("attributes.")
        return f"value for attribute '{name}' cannot be longer than {MAX_VALUE_BYTES} bytes"
    return found.message


def refusal(*messages: str) -> Response:
    """The 400 of v1: indented, with a list of sentences."""
    content = msgspec.json.format(msgspec.json.encode({"meta": {"errors": messages}}), indent=2) + b"\n"
    return Response(content, 400, headers=HEADERS, media_type="application/json; charset=utf-8")
