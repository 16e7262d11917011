"""Requests to one of Customer.io's APIs: paced, repeated while that can help, never redirected."""

from __future__ import annotations

import datetime as dt
import email.utils
import itertools
import logging
import math
import re
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import requests

from airflow_provider_cio.errors import (
    AddressError,
    RateLimitedError,
    StoppedError,
    SyncError,
    TransientError,
    UnavailableError,
)
from airflow_provider_cio.track.address import checked_url, origin
from airflow_provider_cio.track.bounds import STOP_CHECK_SECONDS
from airflow_provider_cio.track.failures import REQUEST_ERRORS, check_environment, failure, proxy_refusal
from airflow_provider_cio.track.rate_limiter import RateLimiter, backoff
from airflow_provider_cio.track.transport import BUDGET, BoundedAdapter, read_body

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from requests.auth import AuthBase

log = logging.getLogger(__name__)

_Shape = TypeVar("_Shape")
_T = TypeVar("_T")

#: What decoding raises for bytes that are not JSON, not of the shape, not UTF-8, or nested too deeply.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


#: Halves of a character, as JSON escapes them, without their other half.
_LONE_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


@dataclass(frozen=True)
class Answer:
    """An answer about what was asked: its status is 200, 207, 400, 413 or 422."""

    status: int
    body: bytes

    def decode(self, shape: type[_Shape]) -> _Shape:
        """Read the body.

        Raises:
            UnavailableError: It is not what the API documents.
        """
        try:
            return msgspec.json.decode(self.body, type=shape)
        except _UNREADABLE:
            repaired = Answer(self.status, _with_valid_characters(self.body))
            if repaired == self:
                raise self.undocumented() from None
        return repaired.decode(shape)

    def undocumented(self) -> UnavailableError:
        """Make the error for an answer that is not what the API documents; it is no verdict on anything."""
        return UnavailableError(
            f"Customer.io answered {self.status} with something that its API does not document"
            f" ({len(self.body):,} bytes)"
        )


class HttpClient(ABC):
    """What the clients of both APIs have in common.

    Safe to share between threads. Requests that met a transient error are repeated with exponential
    backoff and jitter, or after the longer time that the answer asked for, until ``retry_for`` has passed.

    Args:
        base_url: Scheme and host, such as ``https://track.customer.io``.
        auth: Puts the credentials into a request.
        max_requests_per_second: The pace.
        max_concurrent_requests: How many connections to keep.
        timeout: Seconds that one request may take, from the connection to the last byte of the answer.
        retry_for: Seconds for which one request is repeated before its error is raised.
        answer_bytes: How large an answer may be.
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
        answer_bytes: int,
    ) -> None:
        self.base_url = checked_url(base_url)
        self.max_concurrent_requests = max_concurrent_requests
        self.requests = 0
        self.bytes_sent = 0
        self._origin = origin(self.base_url)
        self._timeout = timeout
        self._retry_for = retry_for
        self._answer_bytes = answer_bytes
        self._pace = RateLimiter(max_requests_per_second)
        self._stopped = False
        self._environment_checked = False
        self._count = threading.Lock()
        self._session = requests.Session()
        self._session.auth = auth
        self._session.headers["User-Agent"] = "airflow-provider-cio"
        self._session.headers["Accept-Encoding"] = "gzip, deflate"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the API has none
        adapter = BoundedAdapter(pool_maxsize=max_concurrent_requests)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def stop(self) -> None:
        """Make every waiting, running and coming request raise `StoppedError`; safe in a signal handler.

        A signal handler interrupts its thread anywhere, also inside of a lock. So this takes no lock, as an
        event would; threads that wait look at the flag a few times a second.
        """
        self._stopped = True

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until the run is told to stop.

        Raises:
            StoppedError: It was.
        """
        end = time.monotonic() + seconds
        while not self._stopped:
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, STOP_CHECK_SECONDS))
        raise StoppedError("the run was told to stop")

    @abstractmethod
    def _check_access(self, status: int, path: str) -> SyncError:
        """Make a `ConfigurationError` of an answer that tells of wrong credentials or a wrong address."""

    def _call(
        self,
        method: str,
        path: str,
        read: Callable[[Answer], _T],
        *,
        body: bytes | None = None,
        params: dict[str, Any] | None = None,
    ) -> _T:
        """Make a request, again and again while that can help.

        Args:
            method: Of HTTP.
            path: What is asked for.
            read: Makes a result of the answer. An `UnavailableError` from it has the request repeated.
            body: JSON to send.
            params: The query of the URL.
        """
        return self._repeat(lambda: self._attempt(method, path, read, body=body, params=params))

    def _repeat(self, attempt: Callable[[], _T]) -> _T:
        """Make attempts until one succeeds, or until no other could end in time."""
        end = math.inf
        for failures in itertools.count(1):
            self._take_turn(end)
            if failures == 1:
                end = time.monotonic() + self._retry_for
            try:
                return attempt()
            except StoppedError:
                raise
            except TransientError as error:
                # After a 429 all threads wait together, in `_take_turn`.
                limited = isinstance(error, RateLimitedError)
                pause = self._pace.closed_for() if limited else backoff(failures, error.retry_after)
                if time.monotonic() + pause > end:
                    raise
                log.info("%s; trying again in %.1f s (try %d)", error, pause, failures + 1)
                if not limited:
                    self.wait(pause)
        raise AssertionError  # the loop has no end

    def _take_turn(self, end: float) -> None:
        """Wait until a request may start.

        Raises:
            StoppedError: The run was told to stop.
            RateLimitedError: Customer.io asked for a pause beyond the end.
        """
        while True:
            self.wait(self._pace.delay())
            if self._pace.enter():
                return
            end = min(end, time.monotonic() + self._retry_for)  # of a request that has not been tried, too
            while seconds := self._pace.closed_for():
                if time.monotonic() > end:
                    raise RateLimitedError("Customer.io asks for fewer requests (429)")
                self.wait(min(seconds, STOP_CHECK_SECONDS))

    def _attempt(
        self,
        method: str,
        path: str,
        read: Callable[[Answer], _T],
        *,
        body: bytes | None = None,
        params: dict[str, Any] | None = None,
    ) -> _T:
        started = time.monotonic()
        try:
            answer = self._exchange(method, path, body, params)
        except RateLimitedError as error:
            self._pace.slow_down(started, error.retry_after)
            raise
        except SyncError:
            self._pace.release(started)
            raise
        self._pace.recover(started)
        return read(answer)

    def _exchange(self, method: str, path: str, body: bytes | None, params: dict[str, Any] | None) -> Answer:
        """Send a request and read its answer."""
        with self._count:
            self.requests += 1
            self.bytes_sent += len(body or b"")
        BUDGET.begin(self._timeout, self._answer_bytes, lambda: self._stopped)
        url = self.base_url + path
        if not self._environment_checked:
            check_environment(self._session, url)
            self._environment_checked = True
        try:
            with self._session.request(
                method,
                url,
                params=params,
                data=body,
                headers={"Content-Type": "application/json"} if body else None,
                timeout=self._timeout,
                allow_redirects=False,  # following would drop the credentials or the body
                stream=True,
            ) as response:
                problem = self._problem(response, path)
                if problem:
                    with suppress(SyncError, *REQUEST_ERRORS):  # a body that was read frees the connection
                        read_body(response, self._answer_bytes)
                    raise problem
                return Answer(response.status_code, read_body(response, self._answer_bytes))
        except REQUEST_ERRORS as error:
            raise failure(error, url, self._origin) from None

    def _problem(self, response: requests.Response, path: str) -> SyncError | None:
        """Make an error of every status that is not an answer about what was asked."""
        status = response.status_code
        if status in (200, 207, 400, 413, 422):
            return None
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return AddressError(
                f"{self._origin} redirects elsewhere ({status}): the workspace is in the other region."
                ' Set "region" in the connection to "us" or "eu".'
            )
        if status in (401, 403, 404):
            return self._check_access(status, path)
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return proxy_refusal(self.base_url, status)
        retry_after = seconds_of(response.headers.get("Retry-After", ""))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimitedError("Customer.io asks for fewer requests (429)", retry_after)
        documented = "" if _is_outage(status) else ", which its API does not document"
        return UnavailableError(f"Customer.io answered {status}{documented}", retry_after)


def _with_valid_characters(body: bytes) -> bytes:
    """Replace what is not UTF-8, as in a message that quotes half of a character."""
    return _LONE_SURROGATES.sub(rb"\\ufffd", body.decode(errors="replace").encode())


def _is_outage(status: int) -> bool:
    return status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def seconds_of(retry_after: str) -> float | None:
    """Read Retry-After, which is seconds or a date; None for anything else."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(retry_after)
            if date.tzinfo is None:
                date = date.replace(tzinfo=dt.UTC)
            seconds = (date - dt.datetime.now(dt.UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return None if math.isnan(seconds) else max(seconds, 0.0)
