"""The rate limiter that all threads of one client share."""

from __future__ import annotations

import threading
import time

from airflow_provider_cio.track.backoff import backoff_seconds
from airflow_provider_cio.track.bounds import MAX_RETRY_AFTER, PROBE_SECONDS

#: Responses that raise the rate from zero to its maximum. A rate that was halved needs 25 responses.
_RECOVERY_STEPS = 50
#: The smallest rate, as a share of the maximum. Below it, the pauses after a 429 limit the requests.
_MIN_SHARE = 1 / 16


class RateLimiter:
    """Space out requests, and stop all of them while Customer.io asks for a pause.

    A 429 closes the limiter for all threads. After the pause one request probes. A response to it opens the
    limiter, and another 429 closes it for longer. All 429s until the limiter opens belong to one burst, which
    halves the rate once. Each response raises the rate by a step, up to the maximum.

    Times are those of the monotonic clock, in seconds.

    Args:
        max_per_second: The requests per second as long as no 429 arrives.
    """

    def __init__(self, max_per_second: float) -> None:
        self._max_per_second = max_per_second
        self._per_second = max_per_second
        self._next_start = 0.0
        self._consecutive_429s = 0  # The limiter is closed while there are any.
        self._closed_at = 0.0
        self._opens_at = 0.0
        self._lock = threading.Lock()

    @property
    def per_second(self) -> float:
        """The current rate, in requests per second."""
        return self._per_second

    def reserve(self) -> float:
        """Reserve the start of a request and return the seconds until then."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + 1 / self._per_second
            return start - now

    def seconds_closed(self) -> float:
        """Return the seconds until a request may probe; 0 while the limiter is open."""
        with self._lock:
            return max(self._opens_at - time.monotonic(), 0.0) if self._consecutive_429s else 0.0

    def try_start(self) -> bool:
        """Return whether a request may start now: any while the limiter is open, one probe after a pause."""
        with self._lock:
            if self._consecutive_429s:
                now = time.monotonic()
                if now < self._opens_at:
                    return False
                self._opens_at = now + PROBE_SECONDS
            return True

    def on_429(self, started: float, retry_after: float | None) -> None:
        """Close the limiter after a 429.

        Args:
            started: When the request started.
            retry_after: The seconds that the response requested.
        """
        with self._lock:
            now = time.monotonic()
            if started >= self._closed_at:
                if not self._consecutive_429s:
                    self._per_second = max(self._per_second / 2, self._max_per_second * _MIN_SHARE)
                self._consecutive_429s += 1
                self._closed_at = now
                self._opens_at = now + backoff_seconds(self._consecutive_429s, retry_after)
                self._next_start = min(self._next_start, now)
            elif self._consecutive_429s and retry_after:  # The same burst, but it may request a longer pause.
                self._opens_at = max(self._opens_at, now + min(retry_after, MAX_RETRY_AFTER))

    def on_failure(self, started: float) -> None:
        """Let the next request probe at once, after a probe that got neither a response nor a 429.

        Args:
            started: When the request started.
        """
        with self._lock:
            if self._consecutive_429s and started >= self._closed_at:
                self._opens_at = time.monotonic()

    def on_response(self, started: float) -> None:
        """Open the limiter and raise the rate by a step, unless the request started before the last 429.

        Args:
            started: When the request started.
        """
        with self._lock:
            if started >= self._closed_at:
                self._consecutive_429s = 0
                step = self._max_per_second / _RECOVERY_STEPS
                self._per_second = min(self._per_second + step, self._max_per_second)
