"""The App API: what a sync needs to see of a workspace, its segments and what did not become of changes."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from requests.auth import AuthBase

from airflow_provider_cio.errors import AddressError, ConfigurationError, CredentialsError, SyncError
from airflow_provider_cio.settings import REQUEST_TIMEOUT, RETRY_FOR
from airflow_provider_cio.track.address import checked_key
from airflow_provider_cio.track.bounds import (
    ACTIVITY_PAGES,
    ACTIVITY_SECONDS,
    APP_RESPONSE_BYTES,
    EMPTY_ACTIVITY_PAGES,
)
from airflow_provider_cio.track.http import Answer, HttpClient
from airflow_provider_cio.track.limits import ACTIVITIES_PER_PAGE, APP_REQUESTS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


log = logging.getLogger(__name__)


class Segment(msgspec.Struct, frozen=True):
    """A segment: ``manual``, or made of rules (``dynamic``)."""

    id: int
    name: str
    type: str


class Identifiers(msgspec.Struct, frozen=True):
    """What names a person."""

    id: str | None = None
    email: str | None = None


class Activity(msgspec.Struct, frozen=True):
    """Something that happened in the workspace."""

    id: str
    customer_id: str | None = None
    customer_identifiers: Identifiers | None = None
    object_id: str | None = None
    data: Any = None


class _Segments(msgspec.Struct):
    segments: list[Segment]


class _Segment(msgspec.Struct):
    segment: Segment


class _Activities(msgspec.Struct):
    activities: list[Activity] | None = None
    next: str | None = None


class _Refusal(msgspec.Struct):
    """The body of a refusal: one of the two is there."""

    errors: list[dict[str, Any]] = []
    meta: dict[str, Any] = {}


class _Bearer(AuthBase):
    def __init__(self, key: str, workspace_id: str) -> None:
        self._headers = {"Authorization": f"Bearer {key}"}
        if workspace_id:
            self._headers["X-Workspace-Id"] = workspace_id

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class AppClient(HttpClient):
    """Looks into one workspace. What holds for every request is said in `HttpClient`.

    Args:
        api_key: An App API key, or the token of a service account.
        base_url: Scheme and host, such as ``https://api.customer.io``.
        workspace_id: The workspace, for the token of a service account, which may have several.
        timeout: Seconds that one request may take, from the connection to the last byte of the answer.
        retry_for: Seconds for which one request is repeated before its error is raised.
    """

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
            auth=_Bearer(checked_key("App API key", api_key), workspace_id),
            max_requests_per_second=APP_REQUESTS_PER_SECOND,
            max_concurrent_requests=1,
            timeout=timeout,
            retry_for=retry_for,
            answer_bytes=APP_RESPONSE_BYTES,
        )

    def segments(self) -> list[Segment]:
        """List all segments.

        Raises:
            ConfigurationError: A person has to correct the key, the address, TLS or a proxy.
            TransientError: No answer came, or none that the API documents.
        """
        return self._call("GET", "/v1/segments", _read_segments)

    def create_segment(self, name: str) -> Segment:
        """Create an empty manual segment.

        Names are not unique in Customer.io. So when an answer was lost, the segment is looked for before the
        request is repeated.

        Raises:
            ConfigurationError: Customer.io does not accept the name, or as `segments`.
            TransientError: As `segments`.
        """
        description = "People that a sync from Postgres imported"
        body = msgspec.json.encode({"segment": {"name": name, "description": description}})
        tried = False

        def attempt() -> Segment:
            nonlocal tried
            if tried:
                for segment in self._attempt("GET", "/v1/segments", _read_segments):
                    if (segment.name, segment.type) == (name, "manual"):
                        return segment
            tried = True
            return self._attempt("POST", "/v1/segments", read, body=body)

        def read(answer: Answer) -> Segment:
            if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
                refusal = answer.decode(_Refusal)
                if refusal.errors or refusal.meta:
                    raise ConfigurationError(
                        f"Customer.io does not create a segment named {name!r} ({answer.status})."
                        " Choose another name, or create the segment in Customer.io and give its id."
                    )
            if answer.status != HTTPStatus.OK:
                raise answer.undocumented()
            return answer.decode(_Segment).segment

        return self._repeat(attempt)

    def activities(self, kind: str) -> Iterator[Activity]:
        """List what happened, the newest first; the next page is asked for when it is needed.

        The list is bounded in pages and in seconds; a warning tells when it was cut.

        Args:
            kind: Such as ``failed_attribute_change``.

        Raises:
            ConfigurationError, TransientError: As `segments`.
        """
        end = time.monotonic() + ACTIVITY_SECONDS
        start = ""
        seen = {start}
        empty = 0
        for _ in range(ACTIVITY_PAGES):
            params = {"type": kind, "limit": ACTIVITIES_PER_PAGE, **({"start": start} if start else {})}
            page = self._call("GET", "/v1/activities", _read_activities, params=params)
            yield from page.activities or []
            if not page.next:
                return
            start = page.next
            empty = 0 if page.activities else empty + 1
            if start in seen:
                reason = "the same page came again"
                break
            if empty == EMPTY_ACTIVITY_PAGES:
                reason = f"{empty} pages in a row had no activities"
                break
            if time.monotonic() > end:
                reason = f"more than {ACTIVITY_SECONDS:g} s had passed"
                break
            seen.add(start)
        else:
            reason = f"{ACTIVITY_PAGES} pages were read"
        log.warning(
            "The activity log (%s) was not read to its end: %s. Changes that Customer.io accepted and then"
            " did not apply may be missing in the report. The activity log in Customer.io has all of them.",
            kind,
            reason,
        )

    def _check_access(self, status: int, path: str) -> SyncError:
        if status == HTTPStatus.NOT_FOUND:
            return AddressError(
                f"{self._origin} has no App API, or nothing at {path} (404). Check app_host of the"
                " connection, and host, which app_host defaults to."
            )
        return CredentialsError(
            f"Customer.io refused the App API key ({status}). Check app_api_key of the"
            " connection, and app_host if it is set; keys are in Customer.io under"
            " Settings > API Credentials. The token of a service account also needs workspace_id."
        )


def _read_segments(answer: Answer) -> list[Segment]:
    if answer.status != HTTPStatus.OK:
        raise answer.undocumented()
    return answer.decode(_Segments).segments


def _read_activities(answer: Answer) -> _Activities:
    if answer.status != HTTPStatus.OK or "activities" not in answer.decode(dict[str, msgspec.Raw]):
        raise answer.undocumented()
    return answer.decode(_Activities)
