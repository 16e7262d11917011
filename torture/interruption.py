"""A timeout as Airflow raises it: by a signal, in the main thread, anywhere in its code."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: How often it is looked whether the moment has come, in seconds.
_LOOK = 0.01


class Interrupted(BaseException):
    """What the timeout raises. Airflow's is a `BaseException`, too."""


class Interruption:
    """Raises `Interrupted` in the main thread.

    Args:
        moment: When it is true, the time begins to run.
        delay: Seconds from then.
        patience: Seconds after which it is raised in any case, and again: a hang ends, too.

    Attributes:
        raised_at: When it was raised first, as `time.monotonic` has it; None if the work ended before.
    """

    def __init__(self, moment: Callable[[], object], delay: float, *, patience: float) -> None:
        self._moment = moment
        self._delay = delay
        self._patience = patience
        self._ended = threading.Event()
        self.raised_at: float | None = None

    def during(self, work: Callable[[], object]) -> BaseException | None:
        """Do something, and give what it raised."""
        before = signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, self._patience, self._patience)
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - that is what is asked for
            return error
        finally:
            self._ended.set()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return None

    def _watch(self) -> None:
        while not self._moment():
            if self._ended.wait(_LOOK):
                return
        if not self._ended.wait(self._delay):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def _interrupt(self, *_: object) -> None:
        if not self._ended.is_set():
            self.raised_at = self.raised_at or time.monotonic()
            raise Interrupted
