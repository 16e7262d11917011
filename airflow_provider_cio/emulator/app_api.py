"""The endpoints of the App API that a sync needs: the contents of the workspace, and its segments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from starlette.responses import Response

from airflow_provider_cio.emulator.app_api_errors import RefusalError, not_found
from airflow_provider_cio.emulator.app_api_json import (
    object_identifiers_json,
    object_type_json,
    person_json,
    segment_json,
    times,
    values,
)
from airflow_provider_cio.emulator.limits import MAX_ACTIVITIES, MAX_CUSTOMERS, MAX_MEMBERS, MAX_RELATIONSHIPS
from airflow_provider_cio.emulator.operations import ObjectRef, PersonRef
from airflow_provider_cio.emulator.responses import json_response
from airflow_provider_cio.emulator.track_v1 import WORKSPACE_ID
from airflow_provider_cio.emulator.validation import UNREADABLE
from airflow_provider_cio.emulator.workspace import as_person_key

if TYPE_CHECKING:
    from collections.abc import Sized

    from starlette.requests import Request

    from airflow_provider_cio.emulator.records import CustomObject, Person, Segment
    from airflow_provider_cio.emulator.store import Store


class _SegmentContent(Struct):
    name: str
    description: str = ""


class _NewSegment(Struct):
    """The body of a request that creates a segment."""

    segment: _SegmentContent


class _CustomerIds(Struct):
    """The body of a request for several people."""

    ids: list[str]


@dataclass(frozen=True)
class AppAPI:
    """The endpoints of the App API. All of them read the store, and two change segments."""

    store: Store

    async def workspaces(self, _request: Request) -> Response:
        """``GET /v1/workspaces``."""
        counts = self.store.counts()
        workspace = {
            "id": WORKSPACE_ID,
            "name": "Emulator",
            "messages_sent": 0,
            "billable_messages_sent": 0,
            "people": counts["people"],
            "object_types": len(self.store.object_types()),
            "objects": counts["objects"],
        }
        return json_response({"workspaces": [workspace]})

    async def object_types(self, _request: Request) -> Response:
        """``GET /v1/object_types``."""
        return json_response({"types": [object_type_json(type_id) for type_id in self.store.object_types()]})

    # Segments

    async def segments(self, _request: Request) -> Response:
        """``GET /v1/segments``."""
        return json_response({"segments": [segment_json(segment) for segment in self.store.segments()]})

    async def create_segment(self, request: Request) -> Response:
        """Create an empty manual segment (``POST /v1/segments``). Names need not be unique."""
        try:
            content = msgspec.json.decode(await request.body(), type=_NewSegment).segment
        except UNREADABLE as error:
            raise RefusalError(400, str(error)) from error
        if not content.name.strip():
            raise RefusalError(400, "name cannot be blank")
        return json_response(
            {"segment": segment_json(self.store.create_segment(content.name, content.description))}
        )

    async def segment(self, request: Request) -> Response:
        """``GET /v1/segments/{segment_id}``."""
        return json_response({"segment": segment_json(self._segment(request))})

    async def delete_segment(self, request: Request) -> Response:
        """``DELETE /v1/segments/{segment_id}``."""
        self.store.delete_segment(self._segment(request))
        return Response(status_code=204)

    async def customer_count(self, request: Request) -> Response:
        """``GET /v1/segments/{segment_id}/customer_count``."""
        return json_response({"count": self.store.count_members(self._segment(request))})

    async def membership(self, request: Request) -> Response:
        """``GET /v1/segments/{segment_id}/membership``."""
        limit = _number(request, "limit", 1_000, MAX_MEMBERS)
        people = self.store.members(self._segment(request), _number(request, "start", 0), limit + 1)
        page = people[:limit]
        following = str(page[-1].key) if len(people) > limit else ""
        return json_response(
            {
                "ids": [person.id or "" for person in page],
                "identifiers": [person.identifiers for person in page],
                "next": following,
            }
        )

    # People

    async def customers(self, request: Request) -> Response:
        """``GET /v1/customers?email=``."""
        person = self.store.person(PersonRef("email", request.query_params.get("email", "")))
        return json_response({"results": [person.identifiers] if person else []})

    async def customer_attributes(self, request: Request) -> Response:
        """``GET /v1/customers/{customer_id}/attributes``."""
        return json_response(person_json(self._person(request, request.path_params["customer_id"])))

    async def attributes_of_customers(self, request: Request) -> Response:
        """Return people by id, without unknown ones (``POST /v1/customers/attributes``)."""
        try:
            ids = msgspec.json.decode(await request.body(), type=_CustomerIds).ids
        except UNREADABLE as error:
            raise RefusalError(400, str(error)) from error
        if not 1 <= len(ids) <= MAX_CUSTOMERS:
            raise RefusalError(400, f"ids must have between 1 and {MAX_CUSTOMERS} values")
        people = (self.store.person(PersonRef("id", value)) for value in ids)
        return json_response({"customers": [person_json(person) for person in people if person is not None]})

    async def customer_relationships(self, request: Request) -> Response:
        """``GET /v1/customers/{customer_id}/relationships``."""
        person = self._person(request, request.path_params["customer_id"])
        start, limit = _page(request, MAX_RELATIONSHIPS, MAX_RELATIONSHIPS)
        found = self.store.relationships(person=person, limit=limit + 1, offset=start)
        items = [
            {
                "object_type_id": related.custom_object.object_type_id,
                "identifiers": object_identifiers_json(related.custom_object),
                "attributes": values(related.attributes),
                "timestamps": times(related.attributes),
            }
            for related in found[:limit]
        ]
        return json_response({"cio_relationships": items, "next": _next(start, limit, found)})

    async def customer_segments(self, request: Request) -> Response:
        """``GET /v1/customers/{customer_id}/segments``."""
        segments = self.store.segments_of(self._person(request, request.path_params["customer_id"]))
        items = [
            {"id": segment.id, "name": segment.name, "description": segment.description}
            for segment in segments
        ]
        return json_response({"segments": items})

    async def activities(self, request: Request) -> Response:
        """Return activities, the newest first (``GET /v1/activities``)."""
        customer = request.query_params.get("customer_id")
        start, limit = _page(request, 10, MAX_ACTIVITIES)
        found = self.store.activities(
            activity=request.query_params.get("type"),
            person=None if customer is None else self._person(request, customer),
            limit=limit + 1,
            offset=start,
        )
        items = [
            activity.content | {"id": f"{activity.key:026d}", "type": activity.type, "timestamp": activity.at}
            for activity in found[:limit]
        ]
        return json_response({"activities": items, "next": _next(start, limit, found)})

    # Objects

    async def object_attributes(self, request: Request) -> Response:
        """``GET /v1/objects/{object_type_id}/{object_id}/attributes``."""
        custom_object = self._custom_object(request)
        item = {
            "attributes": values(custom_object.attributes),
            "timestamps": times(custom_object.attributes),
            "identifiers": object_identifiers_json(custom_object),
            "object_type_id": custom_object.object_type_id,
        }
        return json_response({"object": item})

    async def object_relationships(self, request: Request) -> Response:
        """``GET /v1/objects/{object_type_id}/{object_id}/relationships``."""
        start, limit = _page(request, MAX_RELATIONSHIPS, MAX_RELATIONSHIPS)
        found = self.store.relationships(
            custom_object=self._custom_object(request), limit=limit + 1, offset=start
        )
        items = [
            {
                "identifiers": related.person.identifiers,
                "object_type_id": related.custom_object.object_type_id,
                "object_type_disabled": False,
                "attributes": values(related.attributes),
                "timestamps": times(related.attributes),
            }
            for related in found[:limit]
        ]
        return json_response({"cio_relationships": items, "next": _next(start, limit, found)})

    def _person(self, request: Request, value: str) -> Person:
        key = as_person_key(request.query_params.get("id_type", "id"))
        if key is None:
            raise RefusalError(400, "id_type must be one of id, email, cio_id")
        person = self.store.person(PersonRef(key, value))
        if person is None:
            raise not_found()
        return person

    def _custom_object(self, request: Request) -> CustomObject:
        type_id, object_id = request.path_params["object_type_id"], request.path_params["object_id"]
        by_cio_id = request.query_params.get("id_type") == "cio_object_id"
        custom_object = self.store.custom_object(
            ObjectRef(cio_object_id=object_id) if by_cio_id else ObjectRef(type_id, object_id)
        )
        if custom_object is None or custom_object.object_type_id != type_id:
            raise not_found()
        return custom_object

    def _segment(self, request: Request) -> Segment:
        segment = self.store.segment(request.path_params["segment_id"])
        if segment is None:
            raise not_found()
        return segment


def _number(request: Request, name: str, default: int, maximum: int | None = None) -> int:
    """Return a query parameter that is an integer from 0.

    Args:
        request: The request.
        name: The name of the parameter.
        default: The value if the parameter is missing.
        maximum: The largest value; larger ones are reduced to it, and 0 becomes 1.

    Raises:
        RefusalError: The parameter is not an integer.
    """
    given = request.query_params.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,18}", given):
        raise RefusalError(400, f"{name} is not valid")
    return int(given) if maximum is None else max(1, min(int(given), maximum))


def _page(request: Request, default: int, maximum: int) -> tuple[int, int]:
    """Return the first item of the requested page, and the number of items on it.

    Args:
        request: The request.
        default: The number of items if the request has no limit.
        maximum: The largest number of items.
    """
    return _number(request, "start", 0), _number(request, "limit", default, maximum)


def _next(start: int, limit: int, found: Sized) -> str:
    """Return the token of the next page; empty on the last page.

    Args:
        start: The first item of this page.
        limit: The number of items on a page.
        found: The items from `start` on, with one more than a page has if there are more.
    """
    return str(start + limit) if len(found) > limit else ""
