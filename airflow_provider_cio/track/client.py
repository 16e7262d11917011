"""The client of the Track API, which syncs send their operations to."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec
from requests.auth import HTTPBasicAuth

from airflow_provider_cio.errors import RefusedError, TooLargeError, UnavailableError
from airflow_provider_cio.settings import CONCURRENT_REQUESTS, REQUEST_TIMEOUT, REQUESTS_PER_SECOND, RETRY_FOR
from airflow_provider_cio.track.address import validate_key
from airflow_provider_cio.track.bounds import TRACK_RESPONSE_BYTES
from airflow_provider_cio.track.http import ApiRequest, HttpClient
from airflow_provider_cio.track.region import RegionAnswer
from airflow_provider_cio.track.rejected_operation import RejectedOperation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.track.response import ApiResponse


class TrackClient(HttpClient):
    """Send operations to one workspace. See `HttpClient` for rate limit, retries and errors.

    Args:
        site_id: The workspace's Site ID.
        api_key: The workspace's Track API key.
        base_url: Scheme and host, such as ``https://track.customer.io``.
        max_requests_per_second: The rate limit. Customer.io publishes 1,000, which is not strictly enforced.
        max_concurrent_requests: The number of connections to keep open.
        timeout: Seconds for one request, as in `HttpClient`.
        retry_for: Seconds for which a request is repeated, as in `HttpClient`.
    """

    _API: ClassVar[str] = "Track API"
    _ADDRESS_HINT: ClassVar[str] = (
        "Leave the host of the connection empty, or set it to the base URL of the Track API."
        " If the sync names a segment by its id, check the id."
    )
    _CREDENTIALS: ClassVar[str] = "credentials"
    _CREDENTIALS_HINT: ClassVar[str] = (
        "Correct Site ID and Track API key (login and password) of the connection. Both are in Customer.io"
        " under Settings > API Credentials."
    )

    def __init__(
        self,
        *,
        site_id: str,
        api_key: str,
        base_url: str,
        max_requests_per_second: float = REQUESTS_PER_SECOND.default,
        max_concurrent_requests: int = int(CONCURRENT_REQUESTS.default),
        timeout: float = REQUEST_TIMEOUT.default,
        retry_for: float = RETRY_FOR.default,
    ) -> None:
        super().__init__(
            base_url=base_url,
            auth=HTTPBasicAuth(validate_key("Site ID", site_id), validate_key("Track API key", api_key)),
            max_requests_per_second=max_requests_per_second,
            max_concurrent_requests=max_concurrent_requests,
            timeout=timeout,
            retry_for=retry_for,
            max_response_bytes=TRACK_RESPONSE_BYTES,
        )

    def region(self) -> RegionAnswer:
        """Return the region of the workspace. The host of either region answers.

        Raises:
            CredentialsError: Customer.io refuses the credentials.
            AddressError: The host is not a Track API.
            ConfigurationError: TLS or a proxy is not configured correctly.
            TransientError: No documented response arrived within `retry_for`.
        """
        return self._call(ApiRequest("GET", "/api/v1/accounts/region"), _parse_region)

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Send a batch and return its rejected operations. All others were accepted.

        Args:
            operations: The JSON of each operation; together at most `limits.BATCH_BYTES`.

        Raises:
            RefusedError: The whole request was refused (400, 413). No operation was accepted.
            ConfigurationError: The connection, TLS or a proxy is not configured correctly.
            TransientError: No verdict arrived within `retry_for`.
        """
        body = b'{"batch":[' + b",".join(operations) + b"]}"
        request = ApiRequest("POST", "/api/v2/batch", body)
        return self._call(request, partial(_parse_verdicts, len(operations)))

    def add_to_segment(self, segment: int, id_type: Literal["id", "email"], people: Sequence[str]) -> None:
        """Add people to a manual segment. Customer.io ignores people that do not exist.

        Args:
            segment: The id of the segment.
            id_type: The identifier that `people` holds.
            people: Ids or email addresses, at most `limits.SEGMENT_PEOPLE`.

        Raises:
            RefusedError: The segment does not exist or is not manual.
            ConfigurationError, TransientError: As for `send_batch`.
        """
        path = f"/api/v1/segments/{segment}/add_customers"
        body = msgspec.json.encode({"ids": people})
        self._call(ApiRequest("POST", path, body, {"id_type": id_type}), _parse_added)


class _OperationError(msgspec.Struct):
    """An error in a response to a batch. The response can omit each field or set it to null."""

    batch_index: int | None = None
    reason: str | None = None
    field: str | None = None
    message: str | None = None

    def to_rejected_operation(self) -> RejectedOperation:
        index = -1 if self.batch_index is None else self.batch_index
        return RejectedOperation(index, self.reason or "", self.field or "", self.message or "")


class _BatchErrors(msgspec.Struct):
    """The body of a response with errors of operations."""

    errors: list[_OperationError] | None


class _Meta(msgspec.Struct):
    errors: list[str] | None = None
    error: str | None = None


class _MetaErrors(msgspec.Struct):
    """The body of a 400 in v1 of the API."""

    meta: _Meta


def _parse_region(response: ApiResponse) -> RegionAnswer:
    return response.decode_ok(RegionAnswer)


def _parse_verdicts(batch_size: int, response: ApiResponse) -> list[RejectedOperation]:
    """Return the rejected operations of a batch.

    Args:
        batch_size: The number of operations in the batch.
        response: The response to the batch.

    Raises:
        RefusedError: The whole batch was refused.
        UnavailableError: The response is not documented, or has an error without a usable index.
    """
    if response.status not in (HTTPStatus.OK, HTTPStatus.MULTI_STATUS):
        raise _refusal(batch_size, response)
    accepts_all = response.status == HTTPStatus.OK
    if accepts_all and not response.body_keys():
        return []
    errors = _operation_errors(response)
    if not (errors or accepts_all) or not _have_valid_indexes(errors, batch_size):
        raise response.undocumented()
    return errors


def _parse_added(response: ApiResponse) -> None:
    """Check that people were added to a segment."""
    if response.status != HTTPStatus.OK:
        raise _refusal(0, response)
    if response.body_keys():
        raise response.undocumented()


def _refusal(batch_size: int, response: ApiResponse) -> RefusedError | UnavailableError:
    """Return the error for a response that refuses a whole request."""
    if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLargeError()
    if response.status != HTTPStatus.BAD_REQUEST:
        return response.undocumented()
    if "errors" not in response.body_keys():
        return RefusedError("", "invalid", _meta_errors(response))
    errors = _operation_errors(response)
    if not errors:
        return response.undocumented()
    operations = errors if _have_valid_indexes(errors, batch_size) else []
    return RefusedError(errors[0].field, errors[0].reason, errors[0].message, operations)


def _operation_errors(response: ApiResponse) -> list[RejectedOperation]:
    return [error.to_rejected_operation() for error in response.decode(_BatchErrors).errors or []]


def _have_valid_indexes(errors: list[RejectedOperation], batch_size: int) -> bool:
    return all(0 <= error.batch_index < batch_size for error in errors)


def _meta_errors(response: ApiResponse) -> str:
    """Return the messages of a 400 in v1 of the API."""
    meta = response.decode(_MetaErrors).meta
    messages = [message for message in (*(meta.errors or []), meta.error) if message]
    if not messages:
        raise response.undocumented()
    return "; ".join(messages)
