"""What a sync remembers from run to run, in Airflow Variables."""

from __future__ import annotations

import datetime as dt
import logging
import time

import msgspec
from airflow.sdk import Variable

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.naming import LAST_SYNC_TIME, WINDOWS, last_sync_time_key, windows_key

log = logging.getLogger(__name__)

#: Seconds by which the source's clock may be ahead of the worker's.
_AHEAD = 86_400
#: Runs that waited for their workspace for longer, or behind more syncs, are not skipped.
_KEPT_FOR = dt.timedelta(days=1)
_KEPT = 200


class LastSyncTime:
    """The last sync time of one sync; a person may edit its Variable.

    Args:
        workspace: The workspace's name.
        sync: The sync's name.
    """

    def __init__(self, workspace: str, sync: str) -> None:
        self._key = last_sync_time_key(workspace, sync)

    def read(self) -> int:
        """Return Unix seconds; 0 until a run has Completed.

        Raises:
            ConfigurationError: The Variable holds something else.
        """
        text = Variable.get(self._key, default="0")
        try:
            seconds = int(text)
        except ValueError:
            raise self._wrong(f"{text!r}, not Unix seconds") from None
        if seconds < 0:
            raise self._wrong(f"{seconds}, which is before 1970")
        if seconds > time.time() + _AHEAD:
            raise self._wrong(f"{seconds}, which is in the future: seconds are meant, not milliseconds")
        return seconds

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"The Variable {self._key} is {what}. Set it to Unix seconds, or to 0 to send everything again."
        )

    def store(self, seconds: int, *, before: int) -> None:
        """Remember Unix seconds for the next run, unless a person set others meanwhile.

        Args:
            seconds: The next last sync time.
            before: What the Variable was when the run began.
        """
        now = self.read()
        if now != before:
            log.warning("Somebody set the Variable %s to %d while the sync ran: that stays", self._key, now)
            return
        Variable.set(self._key, str(seconds), description=LAST_SYNC_TIME)
        if self.read() != seconds:
            log.warning(
                "The Variable %s is set in the environment or a secrets backend too, and that value wins:"
                " every run reads the same changes again. Remove it there.",
                self._key,
            )


class Window(msgspec.Struct, frozen=True):
    """A time in which a sync was running.

    Args:
        sync: Its name.
        due: When its run was due: the end of the interval for a scheduled one.
        start: When it got hold of the workspace.
        end: When it let go.
    """

    sync: str
    due: dt.datetime
    start: dt.datetime
    end: dt.datetime


_read_windows = msgspec.json.Decoder(list[Window]).decode


class Windows:
    """When syncs of one workspace were running lately.

    Written at a sync's end, and only by whoever holds the workspace's slot: so there is nothing to clean up
    after a worker that was killed, and nobody writes at the same time.

    Args:
        workspace: The workspace's name.
    """

    def __init__(self, workspace: str) -> None:
        self._key = windows_key(workspace)

    def covering(self, due: dt.datetime) -> Window | None:
        """Find the sync that was running when a run became due; one that was due together with it is none."""
        return next(
            (window for window in self._read() if window.due < due and window.start <= due < window.end), None
        )

    def add(self, window: Window) -> None:
        """Remember a window, and forget old ones."""
        oldest = window.end - _KEPT_FOR
        kept = [other for other in self._read() if other.end > oldest][-_KEPT:]
        text = msgspec.json.encode([*kept, window]).decode()
        Variable.set(self._key, text, description=WINDOWS)

    def _read(self) -> list[Window]:
        try:
            return _read_windows(Variable.get(self._key, default="[]"))
        except msgspec.DecodeError:
            log.warning("The Variable %s is not what a sync wrote; starting anew", self._key)
            return []
