"""Requests to one of Customer.io's APIs: paced, repeated while that can help, never redirected."""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import threading
from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import requests
import requests.adapters
import tenacity

from airflow_provider_cio.errors import (
    AddressError,
    RateLimitedError,
    StoppedError,
    TransientError,
    UnavailableError,
    VerdictError,
)
from airflow_provider_cio.track.pace import Pace

if TYPE_CHECKING:
    from types import TracebackType

    from requests.auth import AuthBase

log = logging.getLogger(__name__)

#: The longest Retry-After that is obeyed; Customer.io's own client stops at the same.
LONGEST_RETRY_AFTER = 300.0

_Shape = TypeVar("_Shape")


class HttpClient(ABC):
    """What the clients of both APIs have in common.

    Safe to share between threads. Requests that met a transient error are repeated with exponential
    backoff and jitter, or after the time the answer asked for, until ``retry_for`` has passed.

    Args:
        base_url: Scheme and host, such as ``https://track.customer.io``.
        auth: Puts the credentials into a request.
        max_requests_per_second: The pace.
        max_concurrent_requests: How many connections to keep.
        timeout: Seconds to wait for a connection or for more of an answer.
        retry_for: Seconds for which one request is repeated before its error is raised.
    """

    def __init__(
        self,
        *,
        base_url: str,
        auth: AuthBase,
        max_requests_per_second: float,
        max_concurrent_requests: int,
        timeout: float,
        retry_for: float,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.max_concurrent_requests = max_concurrent_requests
        self.requests = 0
        self.bytes_sent = 0
        self._timeout = timeout
        self._retry_for = retry_for
        self._pace = Pace(max_requests_per_second)
        self._stopped = threading.Event()
        self._count = threading.Lock()
        self._session = requests.Session()
        self._session.auth = auth
        self._session.headers["User-Agent"] = "airflow-provider-cio"
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=max_concurrent_requests)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def stop(self) -> None:
        """Make every waiting and every coming request raise `StoppedError`; safe in a signal handler."""
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until the run is told to stop.

        Raises:
            StoppedError: It was.
        """
        if self._stopped.wait(seconds):
            raise StoppedError("the run was told to stop")

    @abstractmethod
    def _check_access(self, response: requests.Response) -> None:
        """Raise a `ConfigurationError` for answers that tell of wrong credentials or a wrong address."""

    def _call(
        self, method: str, path: str, body: bytes | None = None, params: dict[str, Any] | None = None
    ) -> requests.Response:
        """Make a request, again and again while that can help.

        Returns:
            An answer about what was asked: 200, 207, 400, 413, or what `_check_access` lets pass.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError)
            & tenacity.retry_if_not_exception_type(StoppedError),
            wait=_wait,
            stop=tenacity.stop_after_delay(self._retry_for),
            sleep=self.wait,
            before_sleep=_log_retry,
            reraise=True,
        )
        return retrying(self._attempt, method, path, body, params)

    def _attempt(
        self, method: str, path: str, body: bytes | None, params: dict[str, Any] | None
    ) -> requests.Response:
        self.wait(self._pace.delay())
        with self._count:
            self.requests += 1
            self.bytes_sent += len(body or b"")
        try:
            response = self._session.request(
                method,
                self.base_url + path,
                params=params,
                data=body,
                headers={"Content-Type": "application/json"} if body else None,
                timeout=self._timeout,
                allow_redirects=False,  # following would drop the credentials or the body
            )
        except ValueError:  # requests and urllib3 have several for a URL that cannot be one
            raise AddressError(f"{self.base_url!r} is no URL") from None
        except requests.RequestException as error:
            # The library's message may hold the request; its type is enough to act upon.
            raise UnavailableError(f"no answer from {self.base_url}: {type(error).__name__}") from None
        self._check(response)
        self._pace.recover()
        return response

    def _check(self, response: requests.Response) -> None:
        """Raise for every status that is no answer about what was asked."""
        status = response.status_code
        if status in (200, 207, 400, 413):
            return
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise AddressError(
                f"{self.base_url} redirects elsewhere ({status}): the workspace is in the other region."
                ' Set "region" in the connection to "us" or "eu".'
            )
        wait = _retry_after(response)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self._pace.slow_down()
            raise RateLimitedError("Customer.io asks for fewer requests (429)", wait)
        if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(f"Customer.io answered {status}", wait)
        if status not in (401, 403, 404):
            raise VerdictError(f"Customer.io answered {status}, which its API does not document")
        self._check_access(response)


_BACKOFF = tenacity.wait_random_exponential(multiplier=0.5, max=30)


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the answer asked for, else exponentially longer, with jitter."""
    error = state.outcome and state.outcome.exception()
    if isinstance(error, TransientError) and error.retry_after is not None:
        return min(error.retry_after, LONGEST_RETRY_AFTER)
    return _BACKOFF(state)


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    log.info("%s; trying again in %.1f s (try %d)", error, state.upcoming_sleep, state.attempt_number + 1)


def _retry_after(response: requests.Response) -> float | None:
    """Read Retry-After, which is seconds or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)
    return max((date - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)


def decode(response: requests.Response, shape: type[_Shape]) -> _Shape:
    """Read the body of an answer.

    Raises:
        VerdictError: It is not what the API documents.
    """
    try:
        return msgspec.json.decode(response.content, type=shape)
    except msgspec.DecodeError:
        raise VerdictError(
            f"Customer.io answered {response.status_code} with something that is not"
            f" what its API documents ({len(response.content)} bytes)"
        ) from None
