"""The Track API: one method a call, every answer turned into a verdict or an error."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

import msgspec
from requests.auth import HTTPBasicAuth

from airflow_provider_cio.errors import AddressError, CredentialsError, RefusedError, SyncError, TooLargeError
from airflow_provider_cio.settings import CONCURRENT_REQUESTS, REQUEST_TIMEOUT, REQUESTS_PER_SECOND, RETRY_FOR
from airflow_provider_cio.track.address import checked_key
from airflow_provider_cio.track.bounds import TRACK_RESPONSE_BYTES
from airflow_provider_cio.track.http import Answer, HttpClient
from airflow_provider_cio.track.region import RegionAnswer
from airflow_provider_cio.track.rejected_operation import RejectedOperation

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Error(msgspec.Struct):
    """Customer.io's word on one operation. It may leave out any part, or give null."""

    batch_index: int | None = None
    reason: str | None = None
    field: str | None = None
    message: str | None = None

    def item(self) -> RejectedOperation:
        index = -1 if self.batch_index is None else self.batch_index
        return RejectedOperation(index, self.reason or "", self.field or "", self.message or "")


class _Errors(msgspec.Struct):
    """The body of an answer to a batch that is not a plain success."""

    errors: list[_Error] | None


class _Meta(msgspec.Struct):
    errors: list[str] | None = None
    error: str | None = None


class _Complaint(msgspec.Struct):
    """The body of a 400 of the older part of the API."""

    meta: _Meta


class TrackClient(HttpClient):
    """Sends operations to one workspace. What holds for every request is said in `HttpClient`.

    Args:
        site_id: The workspace's Site ID.
        api_key: Its Track API key.
        base_url: Scheme and host, such as ``https://track.customer.io``.
        max_requests_per_second: The pace (see Customer.io's limits: 1,000 a second, not strictly enforced).
        max_concurrent_requests: How many connections to keep.
        timeout: Seconds that one request may take, from the connection to the last byte of the answer.
        retry_for: Seconds for which one request is repeated before its error is raised.
    """

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
            auth=HTTPBasicAuth(checked_key("Site ID", site_id), checked_key("Track API key", api_key)),
            max_requests_per_second=max_requests_per_second,
            max_concurrent_requests=max_concurrent_requests,
            timeout=timeout,
            retry_for=retry_for,
            answer_bytes=TRACK_RESPONSE_BYTES,
        )

    def region(self) -> RegionAnswer:
        """Ask which region the credentials belong to; either region's host answers.

        Raises:
            CredentialsError: The credentials are refused.
            AddressError: The host does not speak the Track API.
            ConfigurationError: TLS or a proxy has to be set up.
            TransientError: No answer came, or none that the API documents.
        """
        return self._call("GET", "/api/v1/accounts/region", _read_region)

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Send a batch and return the operations that were rejected; all others were accepted.

        Args:
            operations: JSON of each; together at most `limits.BATCH_BYTES` long.

        Raises:
            RefusedError: The request was refused (400, 413); no operation counts as accepted.
            ConfigurationError: A person has to correct the connection, TLS or a proxy.
            TransientError: No verdict came although the request was repeated for ``retry_for`` seconds.
        """
        body = b'{"batch":[' + b",".join(operations) + b"]}"
        return self._call("POST", "/api/v2/batch", partial(_read_verdicts, len(operations)), body=body)

    def add_to_segment(self, segment: int, id_type: Literal["id", "email"], people: Sequence[str]) -> None:
        """Add people to a manual segment; Customer.io ignores those that it does not know.

        Args:
            segment: The segment's number.
            id_type: How people are named.
            people: Their ids or e-mail addresses, at most `limits.SEGMENT_PEOPLE`.

        Raises:
            RefusedError: There is no such segment, or it is no manual one.
            ConfigurationError, TransientError: As `send_batch`.
        """
        path = f"/api/v1/segments/{segment}/add_customers"
        body = msgspec.json.encode({"ids": people})
        self._call("POST", path, _read_addition, body=body, params={"id_type": id_type})

    def _check_access(self, status: int, path: str) -> SyncError:
        if status == HTTPStatus.NOT_FOUND:
            return AddressError(
                f"{self._origin} has no Track API, or nothing at {path} (404). Leave the host of the"
                " connection empty, or give the base URL of the Track API. Where a segment is given by"
                " its id, check the id."
            )
        return CredentialsError(
            f"Customer.io refused the credentials ({status}). Check Site ID and Track API key"
            " of the connection; they are in Customer.io under Settings > API Credentials."
        )


def _read_region(answer: Answer) -> RegionAnswer:
    if answer.status != HTTPStatus.OK:
        raise answer.undocumented()
    return answer.decode(RegionAnswer)


def _read_verdicts(count: int, answer: Answer) -> list[RejectedOperation]:
    """Read the answer to a batch of so many operations."""
    match answer.status:
        case HTTPStatus.OK | HTTPStatus.MULTI_STATUS:
            if not answer.decode(dict[str, msgspec.Raw]) and answer.status == HTTPStatus.OK:
                return []
            errors = [error.item() for error in answer.decode(_Errors).errors or []]
            if not errors and answer.status != HTTPStatus.OK:
                raise answer.undocumented()
            if not _name_operations(errors, count):
                raise answer.undocumented()
            return errors
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeError
        case HTTPStatus.BAD_REQUEST:
            raise _refusal(answer, count)
    raise answer.undocumented()


def _refusal(answer: Answer, count: int) -> RefusedError:
    """Understand a 400: errors of operations, or of the whole. What is neither is no refusal by the API."""
    if "errors" not in answer.decode(dict[str, msgspec.Raw]):
        return RefusedError("", "invalid", _complaint(answer))
    errors = [error.item() for error in answer.decode(_Errors).errors or []]
    if not errors:
        raise answer.undocumented()
    named = errors if _name_operations(errors, count) else []
    return RefusedError(errors[0].field, errors[0].reason, errors[0].message, named)


def _name_operations(errors: list[RejectedOperation], count: int) -> bool:
    return all(0 <= error.batch_index < count for error in errors)


def _read_addition(answer: Answer) -> None:
    """Read the answer to people that were added to a segment."""
    match answer.status:
        case HTTPStatus.OK if not answer.decode(dict[str, msgspec.Raw]):
            return
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeError
        case HTTPStatus.BAD_REQUEST:
            raise RefusedError("", "invalid", _complaint(answer))
    raise answer.undocumented()


def _complaint(answer: Answer) -> str:
    """Read why a request was refused."""
    meta = answer.decode(_Complaint).meta
    complaints = [text for text in (*(meta.errors or []), meta.error) if text]
    if not complaints:
        raise answer.undocumented()
    return "; ".join(complaints)
