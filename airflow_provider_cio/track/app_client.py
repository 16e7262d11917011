"""The client of the App API, which syncs use for segments and for changes that were not applied."""

from __future__ import annotations

import itertools
import logging
import time
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from requests.auth import AuthBase

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.settings import REQUEST_TIMEOUT, RETRY_FOR
from airflow_provider_cio.track.address import validate_key
from airflow_provider_cio.track.bounds import (
    ACTIVITY_PAGES,
    ACTIVITY_SECONDS,
    APP_RESPONSE_BYTES,
    EMPTY_ACTIVITY_PAGES,
)
from airflow_provider_cio.track.http import ApiRequest, HttpClient
from airflow_provider_cio.track.limits import ACTIVITIES_PER_PAGE, APP_REQUESTS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from airflow_provider_cio.track.response import ApiResponse

log = logging.getLogger(__name__)

_SEGMENTS_REQUEST = ApiRequest("GET", "/v1/segments")


class Segment(msgspec.Struct, frozen=True):
    """A segment. Its type is ``manual``, or ``dynamic`` if rules decide who is in it."""

    id: int
    name: str
    type: str


class Identifiers(msgspec.Struct, frozen=True):
    """The identifiers of a person."""

    id: str | None = None
    email: str | None = None


class Activity(msgspec.Struct, frozen=True):
    """An entry of the workspace's activity log."""

    id: str
    customer_id: str | None = None
    customer_identifiers: Identifiers | None = None
    object_id: str | None = None
    data: Any = None


class AppClient(HttpClient):
    """Read from one workspace and create segments. See `HttpClient` for rate limit, retries and errors.

    Args:
        api_key: An App API key, or the token of a service account.
        base_url: Scheme and host, such as ``https://api.customer.io``.
        workspace_id: The workspace, if `api_key` is the token of a service account with several workspaces.
        timeout: Seconds for one request, as in `HttpClient`.
        retry_for: Seconds for which a request is repeated, as in `HttpClient`.
    """

    _API: ClassVar[str] = "App API"
    _ADDRESS_HINT: ClassVar[str] = (
        "Correct app_host of the connection. If app_host is empty, correct host, which is its default."
    )
    _CREDENTIALS: ClassVar[str] = "App API key"
    _CREDENTIALS_HINT: ClassVar[str] = (
        "Correct app_api_key of the connection, and app_host if it is set. Keys are in Customer.io under"
        " Settings > API Credentials. The token of a service account also needs workspace_id."
    )

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str,
        workspace_id: str = "",
        timeout: float = REQUEST_TIMEOUT.default,
        retry_for: float = RETRY_FOR.default,
    ) -> None:
        super().__init__(
            base_url=base_url,
            auth=_BearerAuth(validate_key("App API key", api_key), workspace_id),
            max_requests_per_second=APP_REQUESTS_PER_SECOND,
            max_concurrent_requests=1,
            timeout=timeout,
            retry_for=retry_for,
            max_response_bytes=APP_RESPONSE_BYTES,
        )

    def segments(self) -> list[Segment]:
        """Return all segments.

        Raises:
            ConfigurationError: The key, the address, TLS or a proxy is not configured correctly.
            TransientError: No documented response arrived within `retry_for`.
        """
        return self._call(_SEGMENTS_REQUEST, _parse_segments)

    def create_segment(self, name: str) -> Segment:
        """Create an empty manual segment.

        Names are not unique in Customer.io, and a request whose response was lost can have created the
        segment. So a repeated request is preceded by a search for the segment.

        Args:
            name: The name of the segment.

        Raises:
            ConfigurationError: Customer.io does not accept the name, or as for `segments`.
            TransientError: As for `segments`.
        """
        description = "People that a sync from Postgres imported"
        body = msgspec.json.encode({"segment": {"name": name, "description": description}})
        request = ApiRequest("POST", "/v1/segments", body)
        attempts = itertools.count(1)

        def attempt() -> Segment:
            if next(attempts) > 1 and (created := self._find_manual_segment(name)):
                return created
            return self._attempt(request, partial(_parse_created_segment, name))

        return self._retry(attempt)

    def _find_manual_segment(self, name: str) -> Segment | None:
        segments = self._attempt(_SEGMENTS_REQUEST, _parse_segments)
        return next((each for each in segments if (each.name, each.type) == (name, "manual")), None)

    def known_ids(self, ids: list[str]) -> set[str]:
        """Return which of these ids people have.

        Args:
            ids: At most `PEOPLE_PER_REQUEST` ids.

        Raises:
            ConfigurationError, TransientError: As for `segments`.
        """
        request = ApiRequest("POST", "/v1/customers/attributes", msgspec.json.encode({"ids": ids}))
        return self._call(request, _parse_known_ids)

    def attributes(self, person_id: str) -> dict[str, Any] | None:
        """Return the attributes of a person as they are stored; None if no person has this id.

        Raises:
            ConfigurationError, TransientError: As for `segments`.
        """
        body = msgspec.json.encode({"ids": [person_id]})
        return self._call(ApiRequest("POST", "/v1/customers/attributes", body), _parse_attributes)

    def has_email(self, email: str) -> bool:
        """Return whether a person has this email address.

        Raises:
            ConfigurationError, TransientError: As for `segments`.
        """
        return self._call(ApiRequest("GET", "/v1/customers", params={"email": email}), _parse_is_known)

    def activities(self, activity_type: str) -> Iterator[Activity]:
        """Yield the activities of a type, the newest first, and request each page when it is needed.

        The pages and the seconds are bounded. A warning is logged if a bound ends the iteration.

        Args:
            activity_type: Customer.io's name, such as ``failed_attribute_change``.

        Raises:
            ConfigurationError, TransientError: As for `segments`.
        """
        end = time.monotonic() + ACTIVITY_SECONDS
        cursor = ""
        seen_cursors = {cursor}
        empty_pages = 0
        for _ in range(ACTIVITY_PAGES):
            page = self._activity_page(activity_type, cursor)
            yield from page.activities or []
            if not page.next:
                return
            cursor = page.next
            empty_pages = 0 if page.activities else empty_pages + 1
            if cursor in seen_cursors:
                reason = "Customer.io returned the same page again"
                break
            if empty_pages == EMPTY_ACTIVITY_PAGES:
                reason = f"{empty_pages} consecutive pages had no activities"
                break
            if time.monotonic() > end:
                reason = f"reading took more than {ACTIVITY_SECONDS:g} s"
                break
            seen_cursors.add(cursor)
        else:
            reason = f"the bound of {ACTIVITY_PAGES} pages was reached"
        log.warning(
            "The activity log (%s) was not read to its end: %s. The report may lack changes that Customer.io"
            " accepted and then did not apply. The activity log in Customer.io has all of them.",
            activity_type,
            reason,
        )

    def _activity_page(self, activity_type: str, cursor: str) -> _ActivityPage:
        params: dict[str, Any] = {"type": activity_type, "limit": ACTIVITIES_PER_PAGE}
        if cursor:
            params["start"] = cursor
        return self._call(ApiRequest("GET", "/v1/activities", params=params), _parse_activities)


class _BearerAuth(AuthBase):
    def __init__(self, key: str, workspace_id: str) -> None:
        self._headers = {"Authorization": f"Bearer {key}"}
        if workspace_id:
            self._headers["X-Workspace-Id"] = workspace_id

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class _Segments(msgspec.Struct):
    segments: list[Segment]


class _CreatedSegment(msgspec.Struct):
    segment: Segment


class _Customer(msgspec.Struct):
    identifiers: Identifiers
    attributes: dict[str, Any] = {}


class _CustomerEntry(msgspec.Struct):
    customer: _Customer


class _Customers(msgspec.Struct):
    customers: list[_CustomerEntry]


class _SearchResults(msgspec.Struct):
    results: list[Identifiers]


class _ActivityPage(msgspec.Struct):
    activities: list[Activity] | None = None
    next: str | None = None


class _Refusal(msgspec.Struct):
    """The body of a refusal, which has one of the two."""

    errors: list[dict[str, Any]] = []
    meta: dict[str, Any] = {}


def _parse_segments(response: ApiResponse) -> list[Segment]:
    return response.decode_ok(_Segments).segments


def _parse_created_segment(name: str, response: ApiResponse) -> Segment:
    if response.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        refusal = response.decode(_Refusal)
        if refusal.errors or refusal.meta:
            raise ConfigurationError(
                f"Customer.io refused to create a segment named {name!r} ({response.status})."
                " Choose another name, or create the segment in Customer.io and use its id."
            )
    return response.decode_ok(_CreatedSegment).segment


def _parse_known_ids(response: ApiResponse) -> set[str]:
    customers = response.decode_ok(_Customers).customers
    return {entry.customer.identifiers.id for entry in customers if entry.customer.identifiers.id}


def _parse_attributes(response: ApiResponse) -> dict[str, Any] | None:
    customers = response.decode_ok(_Customers).customers
    return customers[0].customer.attributes if customers else None


def _parse_is_known(response: ApiResponse) -> bool:
    return bool(response.decode_ok(_SearchResults).results)


def _parse_activities(response: ApiResponse) -> _ActivityPage:
    page = response.decode_ok(_ActivityPage)
    if "activities" not in response.body_keys():
        raise response.undocumented()
    return page
