"""The Track API: one method a call, every answer turned into a verdict or an error."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

import msgspec
from requests.auth import HTTPBasicAuth

from airflow_provider_cio.errors import (
    AddressError,
    CredentialsError,
    ItemError,
    RefusedError,
    TooLargeError,
    VerdictError,
)
from airflow_provider_cio.track.http import HttpClient, decode
from airflow_provider_cio.track.region import RegionAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import requests


class _Answer(msgspec.Struct):
    """The body of every answer to a batch; a success is an empty one."""

    errors: list[ItemError] | None = None


class _Complaint(msgspec.Struct):
    """The body of a 400 of the older part of the API."""

    class Meta(msgspec.Struct):
        errors: list[str] = []
        error: str = ""

    meta: Meta = msgspec.field(default_factory=Meta)


class _Empty(msgspec.Struct):
    """The body of a success that has nothing to say."""


class TrackClient(HttpClient):
    """Sends operations to one workspace. What holds for every request is said in `HttpClient`.

    Args:
        site_id: The workspace's Site ID.
        api_key: Its Track API key.
        base_url: Scheme and host, such as ``https://track.customer.io``.
        max_requests_per_second: The pace (see Customer.io's limits: 1,000 a second, not strictly enforced).
        max_concurrent_requests: How many connections to keep.
        timeout: Seconds to wait for a connection or for more of an answer.
        retry_for: Seconds for which one request is repeated before its error is raised.
    """

    def __init__(
        self,
        *,
        site_id: str,
        api_key: str,
        base_url: str,
        max_requests_per_second: float = 100,
        max_concurrent_requests: int = 8,
        timeout: float = 60,
        retry_for: float = 900,
    ) -> None:
        super().__init__(
            base_url=base_url,
            auth=HTTPBasicAuth(site_id.encode(), api_key.encode()),
            max_requests_per_second=max_requests_per_second,
            max_concurrent_requests=max_concurrent_requests,
            timeout=timeout,
            retry_for=retry_for,
        )

    def region(self) -> RegionAnswer:
        """Ask which region the credentials belong to; either region's host answers.

        Raises:
            CredentialsError: The credentials are refused.
            AddressError: The host does not speak the Track API.
            TransientError: No answer came.
        """
        response = self._call("GET", "/api/v1/accounts/region")
        return decode(response, RegionAnswer)

    def send_batch(self, operations: Sequence[bytes]) -> list[ItemError]:
        """Send a batch and return the operations that were rejected; all others were accepted.

        Args:
            operations: JSON of each; together at most `limits.BATCH_BYTES` long.

        Raises:
            RefusedError: The request was refused (400, 413); no operation counts as accepted.
            CredentialsError, AddressError: A person has to mend the connection.
            TransientError: No verdict came although the request was repeated for ``retry_for`` seconds.
            VerdictError: The answer makes no sense.
        """
        count = len(operations)
        response = self._call("POST", "/api/v2/batch", b'{"batch":[' + b",".join(operations) + b"]}")
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeError
        if response.status_code == HTTPStatus.BAD_REQUEST:
            raise _refusal(response, count)
        errors = decode(response, _Answer).errors or []
        if any(not 0 <= error.batch_index < count for error in errors):
            raise VerdictError(
                f"Customer.io rejected an operation that is not among the {count} of the batch"
            )
        return errors

    def add_to_segment(self, segment: int, id_type: Literal["id", "email"], people: Sequence[str]) -> None:
        """Add people to a manual segment; Customer.io ignores those that it does not know.

        Args:
            segment: The segment's number.
            id_type: How people are named.
            people: Their ids or e-mail addresses, at most `limits.SEGMENT_PEOPLE`.

        Raises:
            RefusedError: There is no such segment, or it is no manual one.
            CredentialsError, AddressError, TransientError, VerdictError: As `send_batch`.
        """
        path = f"/api/v1/segments/{segment}/add_customers"
        body = msgspec.json.encode({"ids": people})
        response = self._call("POST", path, body, {"id_type": id_type})
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeError
        if response.status_code == HTTPStatus.BAD_REQUEST:
            raise RefusedError("", "invalid", _complaint(response))
        decode(response, _Empty)

    def _check_access(self, response: requests.Response) -> None:
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise AddressError(
                f"{self.base_url} has no Track API (404). Leave the connection's host empty,"
                " or give the base URL of the Track API."
            )
        raise CredentialsError(
            f"Customer.io refused the credentials ({response.status_code}). Check Site ID and Track API key"
            " of the connection; they are in Customer.io under Settings > API Credentials."
        )


def _refusal(response: requests.Response, count: int) -> RefusedError:
    """Understand a 400: errors of operations, errors of the whole, or a body that says nothing."""
    try:
        errors = msgspec.json.decode(response.content, type=_Answer).errors or []
    except msgspec.DecodeError:
        errors = []
    if not errors:
        return RefusedError("", "invalid", "Customer.io answered 400 without saying why")
    named = errors if all(0 <= error.batch_index < count for error in errors) else []
    return RefusedError(errors[0].field, errors[0].reason, errors[0].message, named)


def _complaint(response: requests.Response) -> str:
    """Read why a request was refused."""
    try:
        meta = msgspec.json.decode(response.content, type=_Complaint).meta
    except msgspec.DecodeError:
        return "Customer.io answered 400"
    return "; ".join([*meta.errors, meta.error]).strip("; ") or "Customer.io answered 400 without saying why"
