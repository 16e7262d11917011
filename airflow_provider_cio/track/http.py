"""The HTTP client that both API clients build on.

A call passes these steps, each of which adds one concern: `_retry` repeats transient failures,
`_wait_for_turn` keeps the rate limit, `_attempt` informs the rate limiter of the result, `_send` makes the
request, and `_status_error` translates HTTP statuses into errors.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow_provider_cio.errors import (
    AddressError,
    CredentialsError,
    RateLimitedError,
    StoppedError,
    SyncError,
    TransientError,
    UnavailableError,
)
from airflow_provider_cio.track.address import origin, validate_base_url
from airflow_provider_cio.track.backoff import backoff_seconds, parse_retry_after
from airflow_provider_cio.track.bounds import STOP_CHECK_SECONDS
from airflow_provider_cio.track.environment import check_environment, refused_by_proxy
from airflow_provider_cio.track.rate_limiter import RateLimiter
from airflow_provider_cio.track.request_errors import REQUEST_ERRORS, translate_request_error
from airflow_provider_cio.track.response import ApiResponse
from airflow_provider_cio.track.transport import BUDGET, create_session, read_body

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import requests
    from requests.auth import AuthBase

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Statuses whose body has to be read to know the result. All others are errors by themselves.
_STATUSES_WITH_RESULT = {200, 207, 400, 413, 422}

_RATE_LIMITED = "Customer.io asks for fewer requests (429)"


@dataclass(frozen=True)
class ApiRequest:
    """A request to an API.

    Args:
        method: The HTTP method.
        path: The path, from the base URL.
        body: The JSON to send.
        params: The query parameters.
    """

    method: str
    path: str
    body: bytes | None = None
    params: dict[str, Any] | None = None


class HttpClient:
    """Make requests to one of Customer.io's APIs. Threads can share a client.

    A request that meets a transient error is repeated with exponential backoff and jitter, or after the
    longer time that the response requests, until `retry_for` has passed. Redirects are not followed.

    Args:
        base_url: Scheme and host, such as ``https://track.customer.io``.
        auth: Adds the credentials to a request.
        max_requests_per_second: The rate limit of all threads together.
        max_concurrent_requests: The number of connections to keep open.
        timeout: Seconds for one request, from the connection to the last byte of the response.
        retry_for: Seconds for which a request is repeated before its error is raised.
        max_response_bytes: The largest body of a response.

    Attributes:
        requests: The number of requests so far, including repeated ones.
        bytes_sent: The bytes of all request bodies so far.

    Raises:
        AddressError: The base URL is not valid.
    """

    #: The name of the API, for error messages.
    _API: ClassVar[str]
    #: How to correct the address if the API answers 404.
    _ADDRESS_HINT: ClassVar[str]
    #: The name of the credentials, for error messages.
    _CREDENTIALS: ClassVar[str]
    #: How to correct the credentials if the API answers 401 or 403.
    _CREDENTIALS_HINT: ClassVar[str]

    def __init__(
        self,
        *,
        base_url: str,
        auth: AuthBase,
        max_requests_per_second: float,
        max_concurrent_requests: int,
        timeout: float,
        retry_for: float,
        max_response_bytes: int,
    ) -> None:
        self.base_url = validate_base_url(base_url)
        self.max_concurrent_requests = max_concurrent_requests
        self.requests = 0
        self.bytes_sent = 0
        self._counters_lock = threading.Lock()
        self._origin = origin(self.base_url)
        self._timeout = timeout
        self._retry_for = retry_for
        self._max_response_bytes = max_response_bytes
        self._rate_limiter = RateLimiter(max_requests_per_second)
        self._stopped = False
        self._environment_checked = False
        self._session = create_session(auth, max_concurrent_requests)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def stop(self) -> None:
        """Make all current and later requests and waits raise `StoppedError`. A signal handler may call this.

        A signal handler interrupts its thread anywhere, even inside a lock, so this method must not take one,
        as `threading.Event` does. Threads that wait check a flag several times a second instead.
        """
        self._stopped = True

    def wait(self, seconds: float) -> None:
        """Wait.

        Args:
            seconds: How long to wait.

        Raises:
            StoppedError: The client was stopped before the end.
        """
        end = time.monotonic() + seconds
        while not self._stopped:
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, STOP_CHECK_SECONDS))
        raise StoppedError("The run was stopped")

    def _call(self, request: ApiRequest, parse: Callable[[ApiResponse], _T]) -> _T:
        """Make a request, and repeat it after transient errors.

        Args:
            request: The request.
            parse: Returns the result of a response. If it raises `UnavailableError`, the request is repeated.
        """
        return self._retry(lambda: self._attempt(request, parse))

    def _retry(self, attempt: Callable[[], _T]) -> _T:
        """Repeat attempts until one succeeds, or until the next one would start after `retry_for`."""
        end = math.inf
        for failures in itertools.count(1):
            self._wait_for_turn(end)
            if failures == 1:
                end = time.monotonic() + self._retry_for
            try:
                return attempt()
            except StoppedError:
                raise
            except TransientError as error:
                # After a 429 all threads wait together, in `_wait_for_turn`.
                limited = isinstance(error, RateLimitedError)
                pause = (
                    self._rate_limiter.seconds_closed()
                    if limited
                    else backoff_seconds(failures, error.retry_after)
                )
                if time.monotonic() + pause > end:
                    raise
                log.info("Attempt %d failed: %s. The next attempt is in %.1f s.", failures, error, pause)
                if not limited:
                    self.wait(pause)
        raise AssertionError  # itertools.count has no end

    def _wait_for_turn(self, end: float) -> None:
        """Wait until the rate limiter lets a request start.

        Args:
            end: When to give up while Customer.io asks for a pause, by the monotonic clock.

        Raises:
            StoppedError: The client was stopped.
            RateLimitedError: The pause lasts beyond the end.
        """
        while True:
            self.wait(self._rate_limiter.reserve())
            if self._rate_limiter.try_start():
                return
            end = min(end, time.monotonic() + self._retry_for)  # also for a request without an attempt so far
            while seconds := self._rate_limiter.seconds_closed():
                if time.monotonic() > end:
                    raise RateLimitedError(_RATE_LIMITED)
                self.wait(min(seconds, STOP_CHECK_SECONDS))

    def _attempt(self, request: ApiRequest, parse: Callable[[ApiResponse], _T]) -> _T:
        """Make a request once, and inform the rate limiter of the result."""
        started = time.monotonic()
        try:
            response = self._send(request)
        except RateLimitedError as error:
            self._rate_limiter.on_429(started, error.retry_after)
            raise
        except SyncError:
            self._rate_limiter.on_failure(started)
            raise
        self._rate_limiter.on_response(started)
        return parse(response)

    def _send(self, request: ApiRequest) -> ApiResponse:
        """Send a request and read its response."""
        with self._counters_lock:
            self.requests += 1
            self.bytes_sent += len(request.body or b"")
        BUDGET.begin(self._timeout, self._max_response_bytes, lambda: self._stopped)
        url = self.base_url + request.path
        if not self._environment_checked:
            check_environment(self._session, url)
            self._environment_checked = True
        try:
            with self._session.request(
                request.method,
                url,
                params=request.params,
                data=request.body,
                headers={"Content-Type": "application/json"} if request.body else None,
                timeout=self._timeout,
                allow_redirects=False,  # Following one would drop the credentials or the body.
                stream=True,
            ) as response:
                if response.status_code not in _STATUSES_WITH_RESULT:
                    # Only a connection whose response was read to its end can serve the next request.
                    with suppress(SyncError, *REQUEST_ERRORS):
                        read_body(response, self._max_response_bytes)
                    raise self._status_error(response, request.path)
                return ApiResponse(response.status_code, read_body(response, self._max_response_bytes))
        except REQUEST_ERRORS as error:
            raise translate_request_error(error, url, self._origin) from None

    def _status_error(self, response: requests.Response, path: str) -> SyncError:
        """Return the error for a status that is not in `_STATUSES_WITH_RESULT`."""
        status = response.status_code
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return AddressError(
                f"{self._origin} redirects requests ({status}): the workspace is in the other region."
                ' Set "region" in the connection to "us" or "eu".'
            )
        if status == HTTPStatus.NOT_FOUND:
            return AddressError(
                f"{self._origin} does not have the {self._API}, or not the path {path} (404)."
                f" {self._ADDRESS_HINT}"
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return CredentialsError(
                f"Customer.io refused the {self._CREDENTIALS} ({status}). {self._CREDENTIALS_HINT}"
            )
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return refused_by_proxy(self.base_url, status)
        retry_after = parse_retry_after(response.headers.get("Retry-After", ""))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimitedError(_RATE_LIMITED, retry_after)
        documented = status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return UnavailableError(
            f"Customer.io answered {status}" + ("" if documented else ", an undocumented status"), retry_after
        )
