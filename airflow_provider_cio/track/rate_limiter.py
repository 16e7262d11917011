"""How fast requests may follow one another."""

from __future__ import annotations

import random
import threading
import time

from airflow_provider_cio.track.bounds import (
    BACKOFF_GROWTH,
    FIRST_BACKOFF,
    MAX_BACKOFF,
    MAX_RETRY_AFTER,
    PROBE_SECONDS,
)

#: Accepted requests that bring a pace of nothing back to the full pace.
_STEPS = 50
#: The pace never falls below this part of the full one: pauses do the rest.
_SLOWEST = 1 / 16
#: So many pauses grow; then they are as long as they get, and the power does not overflow.
_GROWING = 20


def backoff(failures: int, retry_after: float | None = None) -> float:
    """Choose the seconds to wait after so many failures in a row.

    The pause grows with each failure and has jitter. A longer Retry-After is obeyed, a shorter one is not.
    """
    longest = min(FIRST_BACKOFF * BACKOFF_GROWTH ** min(failures - 1, _GROWING), MAX_BACKOFF)
    chosen = longest * random.uniform(0.5, 1)  # noqa: S311 - only a spread of waits
    return max(chosen, min(retry_after or 0.0, MAX_RETRY_AFTER))


class RateLimiter:
    """At most so many requests a second, and none while Customer.io asks for a pause.

    All threads of one client share a pace. A 429 closes it for all of them; afterwards one request tries, and
    its success lets the others go on. All 429 until then are one burst, which halves the pace once.

    Args:
        per_second: Requests a second when nothing is wrong.
    """

    def __init__(self, per_second: float) -> None:
        self._full = per_second
        self._now = per_second
        self._next_start = 0.0
        self._refusals = 0  # in a row; the pace is closed while there are any
        self._closed_at = 0.0
        self._opens_at = 0.0
        self._lock = threading.Lock()

    @property
    def per_second(self) -> float:
        """The pace at this moment."""
        return self._now

    def delay(self) -> float:
        """Take the next place in line and return the seconds until then."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + 1 / self._now
            return start - now

    def closed_for(self) -> float:
        """Return the seconds until a request may try again; 0 while the pace is open."""
        with self._lock:
            return max(self._opens_at - time.monotonic(), 0.0) if self._refusals else 0.0

    def enter(self) -> bool:
        """Let a request through: each while the pace is open, else one after the pause."""
        with self._lock:
            if self._refusals:
                now = time.monotonic()
                if now < self._opens_at:
                    return False
                self._opens_at = now + PROBE_SECONDS
            return True

    def slow_down(self, started: float, retry_after: float | None) -> None:
        """Close the pace after a 429.

        Args:
            started: When the request began, by the monotonic clock.
            retry_after: Seconds that the answer asked for.
        """
        with self._lock:
            now = time.monotonic()
            if started >= self._closed_at:
                if not self._refusals:
                    self._now = max(self._now / 2, self._full * _SLOWEST)
                self._refusals += 1
                self._closed_at = now
                self._opens_at = now + backoff(self._refusals, retry_after)
                self._next_start = min(self._next_start, now)
            elif self._refusals and retry_after:  # one more of the burst, which may ask for a longer pause
                self._opens_at = max(self._opens_at, now + min(retry_after, MAX_RETRY_AFTER))

    def release(self, started: float) -> None:
        """Let the next request try at once after one that got neither a 429 nor an answer."""
        with self._lock:
            if self._refusals and started >= self._closed_at:
                self._opens_at = time.monotonic()

    def recover(self, started: float) -> None:
        """Open the pace after an answer to a request that began since it closed, and come a step closer."""
        with self._lock:
            if started >= self._closed_at:
                self._refusals = 0
                self._now = min(self._now + self._full / _STEPS, self._full)
