"""A timeout like Airflow's: a signal raises it in the main thread, at any line of code."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two checks of the condition.
_POLL_SECONDS = 0.01


class Interrupted(BaseException):
    """The exception of the timeout. Airflow's exception is a `BaseException`, too."""


class Interruption:
    """Raises `Interrupted` in the main thread.

    Args:
        condition: The delay begins when it returns a true value.
        delay: Seconds from then until the exception.
        patience: Seconds after which the exception is raised in any case, repeatedly, so that a hang ends.

    Attributes:
        raised_at: Time of the first exception by `time.monotonic`; None if the work ended before.
    """

    def __init__(self, condition: Callable[[], object], delay: float, *, patience: float) -> None:
        self._condition = condition
        self._delay = delay
        self._patience = patience
        self._ended = threading.Event()
        self.raised_at: float | None = None

    def during(self, work: Callable[[], object]) -> BaseException | None:
        """Call a function. Returns the exception that it raised, or None."""
        before = signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, self._patience, self._patience)
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the caller inspects it
            return error
        finally:
            self._ended.set()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return None

    def _watch(self) -> None:
        while not self._condition():
            if self._ended.wait(_POLL_SECONDS):
                return
        if not self._ended.wait(self._delay):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def _interrupt(self, *_: object) -> None:
        if not self._ended.is_set():
            self.raised_at = self.raised_at or time.monotonic()
            raise Interrupted
