"""The parts of the App API that a sync needs: what is in the workspace, and its segments."""

import re
import secrets
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_cio.emulator.operation_json import UNREADABLE
from airflow_provider_cio.emulator.operations import ObjectRef, PersonRef
from airflow_provider_cio.emulator.responses import json_answer
from airflow_provider_cio.emulator.store import Document, Person, Segment, Store, Thing
from airflow_provider_cio.emulator.track_v1 import WORKSPACE_ID
from airflow_provider_cio.emulator.workspace import as_person_key

MAX_MEMBERS = 30_000
MAX_ACTIVITIES = 100
MAX_RELATIONSHIPS = 1_000
MAX_CUSTOMERS = 100


class NewSegment(Struct):
    """The body that creates a segment."""

    class Content(Struct):
        """What the caller decides about a segment."""

        name: str
        description: str = ""

    segment: Content


class CustomerIds(Struct):
    """The body that asks for several people."""

    ids: list[str]


class RefusalError(Exception):
    """An error in the words of the App API."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def refusal(_request: Request, error: Exception) -> Response:
    """The body of a :class:`RefusalError`; for Starlette's `exception_handlers`."""
    assert isinstance(error, RefusalError)  # noqa: S101 - registered for nothing else
    return json_answer({"errors": [{"detail": str(error), "status": str(error.status)}]}, error.status)


def not_found() -> RefusalError:
    """The 404 of things that are not there, unlike that of unknown paths."""
    return RefusalError(404, f"not found (reference {secrets.token_hex(13).upper()})")


class AppAPI:
    """The endpoints; all read the store, and two change segments."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def workspaces(self, _request: Request) -> Response:
        """``GET /v1/workspaces``."""
        counts = self._store.counts()
        workspace = {
            "id": WORKSPACE_ID,
            "name": "Emulator",
            "messages_sent": 0,
            "billable_messages_sent": 0,
            "people": counts["people"],
            "object_types": len(self._store.object_types()),
            "objects": counts["objects"],
        }
        return json_answer({"workspaces": [workspace]})

    async def object_types(self, _request: Request) -> Response:
        """``GET /v1/object_types``."""
        return json_answer({"types": [object_type(type_id) for type_id in self._store.object_types()]})

    # Segments

    async def segments(self, _request: Request) -> Response:
        """``GET /v1/segments``."""
        return json_answer({"segments": [shown_segment(segment) for segment in self._store.segments()]})

    async def create_segment(self, request: Request) -> Response:
        """``POST /v1/segments``: an empty manual segment. Names need not be unique."""
        try:
            content = msgspec.json.decode(await request.body(), type=NewSegment).segment
        except UNREADABLE as error:
            raise RefusalError(400, str(error)) from error
        if not content.name.strip():
            raise RefusalError(400, "name cannot be blank")
        return json_answer(
            {"segment": shown_segment(self._store.create_segment(content.name, content.description))}
        )

    async def segment(self, request: Request) -> Response:
        """``GET /v1/segments/{segment_id}``."""
        return json_answer({"segment": shown_segment(self._segment(request))})

    async def delete_segment(self, request: Request) -> Response:
        """``DELETE /v1/segments/{segment_id}``."""
        self._store.delete_segment(self._segment(request))
        return Response(status_code=204)

    async def customer_count(self, request: Request) -> Response:
        """``GET /v1/segments/{segment_id}/customer_count``."""
        return json_answer({"count": self._store.count_members(self._segment(request))})

    async def membership(self, request: Request) -> Response:
        """``GET /v1/segments/{segment_id}/membership``."""
        limit = number(request, "limit", 1_000, MAX_MEMBERS)
        people = self._store.members(self._segment(request), number(request, "start", 0), limit + 1)
        page = people[:limit]
        following = str(page[-1].key) if len(people) > limit else ""
        return json_answer(
            {
                "ids": [person.id or "" for person in page],
                "identifiers": [person.identifiers for person in page],
                "next": following,
            }
        )

    # People

    async def customers(self, request: Request) -> Response:
        """``GET /v1/customers?email=``."""
        person = self._store.person(PersonRef("email", request.query_params.get("email", "")))
        return json_answer({"results": [person.identifiers] if person else []})

    async def customer_attributes(self, request: Request) -> Response:
        """``GET /v1/customers/{customer_id}/attributes``."""
        return json_answer(shown_person(self._person(request, request.path_params["customer_id"])))

    async def attributes_of_customers(self, request: Request) -> Response:
        """``POST /v1/customers/attributes``: of at most 100 people, by id; unknown ones are left out."""
        try:
            ids = msgspec.json.decode(await request.body(), type=CustomerIds).ids
        except UNREADABLE as error:
            raise RefusalError(400, str(error)) from error
        if not 1 <= len(ids) <= MAX_CUSTOMERS:
            raise RefusalError(400, f"ids must have between 1 and {MAX_CUSTOMERS} values")
        people = (self._store.person(PersonRef("id", value)) for value in ids)
        return json_answer({"customers": [shown_person(person) for person in people if person is not None]})

    async def customer_relationships(self, request: Request) -> Response:
        """``GET /v1/customers/{customer_id}/relationships``."""
        person = self._person(request, request.path_params["customer_id"])
        start, limit = (
            number(request, "start", 0),
            number(request, "limit", MAX_RELATIONSHIPS, MAX_RELATIONSHIPS),
        )
        found = self._store.relationships(person=person, limit=limit + 1, offset=start)
        shown = [
            {
                "object_type_id": related.thing.object_type_id,
                "identifiers": object_identifiers(related.thing),
                "attributes": values(related.attributes),
                "timestamps": times(related.attributes),
            }
            for related in found[:limit]
        ]
        return json_answer(
            {"cio_relationships": shown, "next": str(start + limit) if len(found) > limit else ""}
        )

    async def customer_segments(self, request: Request) -> Response:
        """``GET /v1/customers/{customer_id}/segments``."""
        segments = self._store.segments_of(self._person(request, request.path_params["customer_id"]))
        shown = [
            {"id": segment.id, "name": segment.name, "description": segment.description}
            for segment in segments
        ]
        return json_answer({"segments": shown})

    async def activities(self, request: Request) -> Response:
        """``GET /v1/activities``: the newest first."""
        customer = request.query_params.get("customer_id")
        start, limit = number(request, "start", 0), number(request, "limit", 10, MAX_ACTIVITIES)
        found = self._store.activities(
            activity=request.query_params.get("type"),
            person=None if customer is None else self._person(request, customer),
            limit=limit + 1,
            offset=start,
        )
        shown = [
            activity.content | {"id": f"{activity.key:026d}", "type": activity.type, "timestamp": activity.at}
            for activity in found[:limit]
        ]
        return json_answer({"activities": shown, "next": str(start + limit) if len(found) > limit else ""})

    # Objects

    async def object_attributes(self, request: Request) -> Response:
        """``GET /v1/objects/{object_type_id}/{object_id}/attributes``."""
        thing = self._thing(request)
        shown = {
            "attributes": values(thing.attributes),
            "timestamps": times(thing.attributes),
            "identifiers": object_identifiers(thing),
            "object_type_id": thing.object_type_id,
        }
        return json_answer({"object": shown})

    async def object_relationships(self, request: Request) -> Response:
        """``GET /v1/objects/{object_type_id}/{object_id}/relationships``."""
        start, limit = (
            number(request, "start", 0),
            number(request, "limit", MAX_RELATIONSHIPS, MAX_RELATIONSHIPS),
        )
        found = self._store.relationships(thing=self._thing(request), limit=limit + 1, offset=start)
        shown = [
            {
                "identifiers": related.person.identifiers,
                "object_type_id": related.thing.object_type_id,
                "object_type_disabled": False,
                "attributes": values(related.attributes),
                "timestamps": times(related.attributes),
            }
            for related in found[:limit]
        ]
        return json_answer(
            {"cio_relationships": shown, "next": str(start + limit) if len(found) > limit else ""}
        )

    def _person(self, request: Request, value: str) -> Person:
        key = as_person_key(request.query_params.get("id_type", "id"))
        if key is None:
            raise RefusalError(400, "id_type must be one of id, email, cio_id")
        person = self._store.person(PersonRef(key, value))
        if person is None:
            raise not_found()
        return person

    def _thing(self, request: Request) -> Thing:
        type_id, object_id = request.path_params["object_type_id"], request.path_params["object_id"]
        by_cio_id = request.query_params.get("id_type") == "cio_object_id"
        thing = self._store.thing(
            ObjectRef(cio_object_id=object_id) if by_cio_id else ObjectRef(type_id, object_id)
        )
        if thing is None or thing.object_type_id != type_id:
            raise not_found()
        return thing

    def _segment(self, request: Request) -> Segment:
        segment = self._store.segment(request.path_params["segment_id"])
        if segment is None:
            raise not_found()
        return segment


def number(request: Request, name: str, default: int, most: int | None = None) -> int:
    """A parameter of the query that is a number from 0, at most `most`."""
    given = request.query_params.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,18}", given):
        raise RefusalError(400, f"{name} is not valid")
    return int(given) if most is None else max(1, min(int(given), most))


def values(document: Document) -> dict[str, str]:
    """Attributes without their times."""
    return {name: value for name, (value, _) in document.items()}


def times(document: Document) -> dict[str, int]:
    """When each attribute changed last, in Unix seconds."""
    return {name: at for name, (_, at) in document.items()}


def shown_person(person: Person) -> dict[str, Any]:
    """A person with attributes and times, the identifiers among them."""
    document = person.attributes | {"cio_id": (person.cio_id, person.created)}
    unsubscribed = document.get("unsubscribed", ("", 0))[0]
    customer = {
        "id": person.id or "",
        "identifiers": person.identifiers,
        "attributes": values(document),
        "timestamps": times(document),
        "unsubscribed": unsubscribed.lower() in {"true", "1"},
        "devices": [],
    }
    return {"customer": customer}


def object_identifiers(thing: Thing) -> dict[str, str]:
    """Both ways to name an object."""
    return {"object_id": thing.object_id, "cio_object_id": thing.cio_object_id}


def object_type(type_id: str) -> dict[str, Any]:
    """An object type. Only its number is known here; name and slug follow from that."""
    return {
        "id": type_id,
        "name": f"Objects {type_id}",
        "singular_name": f"Object {type_id}",
        "slug": f"objects_{type_id}",
        "singular_slug": f"object_{type_id}",
        "enabled": True,
        "icon": "company",
    }


def shown_segment(segment: Segment) -> dict[str, Any]:
    """A segment that is ready to use."""
    return {
        "id": segment.id,
        "deduplicate_id": f"{segment.id}:{segment.created}",
        "name": segment.name,
        "description": segment.description,
        "state": "finished",
        "progress": None,
        "type": segment.type,
        "tags": None,
    }
