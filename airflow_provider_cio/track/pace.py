"""How fast requests may follow one another."""

from __future__ import annotations

import threading
import time


class Pace:
    """At most so many requests a second, shared by all threads of one client.

    Being told to slow down halves the pace; every accepted request brings back a hundredth of it.

    Args:
        per_second: Requests a second when nothing is wrong.
    """

    def __init__(self, per_second: float) -> None:
        self._full = per_second
        self._now = per_second
        self._next_start = 0.0
        self._lock = threading.Lock()

    @property
    def per_second(self) -> float:
        """The pace at this moment."""
        return self._now

    def delay(self) -> float:
        """Take the next place in line and say how many seconds away it is."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + 1 / self._now
            return start - now

    def slow_down(self) -> None:
        """Halve the pace, down to one request a minute."""
        with self._lock:
            self._now = max(self._now / 2, 1 / 60)

    def recover(self) -> None:
        """Come a step closer to the full pace."""
        with self._lock:
            self._now = min(self._now + self._full / 100, self._full)
