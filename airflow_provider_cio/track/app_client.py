"""The App API: what a sync needs to see of a workspace, its segments and what did not become of changes."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from requests.auth import AuthBase

from airflow_provider_cio.errors import ConfigurationError, CredentialsError
from airflow_provider_cio.track.http import HttpClient, decode
from airflow_provider_cio.track.limits import ACTIVITIES, APP_REQUESTS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


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


class _Bearer(AuthBase):
    def __init__(self, key: str) -> None:
        self._header = b"Bearer " + key.encode()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header  # type: ignore[assignment]
        return request


class AppClient(HttpClient):
    """Looks into one workspace. What holds for every request is said in `HttpClient`.

    Args:
        api_key: An App API key.
        base_url: Scheme and host, such as ``https://api.customer.io``.
        timeout: Seconds to wait for a connection or for more of an answer.
        retry_for: Seconds for which one request is repeated before its error is raised.
    """

    def __init__(self, *, api_key: str, base_url: str, timeout: float = 60, retry_for: float = 900) -> None:
        super().__init__(
            base_url=base_url,
            auth=_Bearer(api_key),
            max_requests_per_second=APP_REQUESTS_PER_SECOND,
            max_concurrent_requests=1,
            timeout=timeout,
            retry_for=retry_for,
        )

    def segments(self) -> list[Segment]:
        """List all segments.

        Raises:
            CredentialsError: The key is refused.
            TransientError, VerdictError: No answer came, or one that makes no sense.
        """
        return decode(self._call("GET", "/v1/segments"), _Segments).segments

    def create_segment(self, name: str) -> Segment:
        """Create an empty manual segment.

        Raises:
            ConfigurationError: Customer.io does not like the name.
            CredentialsError, TransientError, VerdictError: As `segments`.
        """
        description = "People that a sync from Postgres imported"
        body = msgspec.json.encode({"segment": {"name": name, "description": description}})
        response = self._call("POST", "/v1/segments", body)
        if response.status_code == HTTPStatus.BAD_REQUEST:
            raise ConfigurationError(f"Customer.io refuses to create a segment named {name!r}")
        return decode(response, _Segment).segment

    def activities(self, kind: str) -> Iterator[Activity]:
        """List what happened, the newest first; the next page is asked for when it is needed.

        Args:
            kind: Such as ``failed_attribute_change``.

        Raises:
            CredentialsError, TransientError, VerdictError: As `segments`.
        """
        start: str | None = ""
        while start is not None:
            params = {"type": kind, "limit": ACTIVITIES, **({"start": start} if start else {})}
            page = decode(self._call("GET", "/v1/activities", params=params), _Activities)
            yield from page.activities or []
            start = page.next or None

    def _check_access(self, response: requests.Response) -> None:
        raise CredentialsError(
            f"Customer.io refused the App API key ({response.status_code}). Check app_api_key of the"
            " connection, and app_host if it is set; keys are in Customer.io under"
            " Settings > API Credentials."
        )
