"""What a sync remembers from run to run, in Airflow Variables."""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from typing import Annotated, Any

import msgspec
from airflow.sdk import Variable

from airflow_provider_cio.errors import ConfigurationError, TransientError
from airflow_provider_cio.naming import LAST_SYNC_TIME, WINDOWS, last_sync_time_key, windows_key

log = logging.getLogger(__name__)

#: Seconds by which the source's clock may be ahead of the worker's.
_AHEAD = 86_400
#: Unix seconds have ten digits until the year 2286; this many leave room to say that milliseconds are wrong.
_DIGITS = re.compile("-?[0-9]{1,18}", re.ASCII).fullmatch
#: As much of a wrong value as a message shows.
_SHOWN = 20
#: Runs that waited for their workspace for longer, or behind more syncs, are not skipped.
_KEPT_FOR = dt.timedelta(days=1)
_KEPT = 200
#: How often in a row a sync is Skipped before it queues instead, so that a busy workspace starves no sync.
_SKIPPED_IN_A_ROW = 3


def check_airflow_answers(prefix: str = "customerio.", *, failed: bool = False) -> list[str]:
    """Check that Airflow's API answers: a Variable that could not be read looks like one that does not exist.

    Args:
        prefix: Which Variables to list.
        failed: It has just failed to answer.

    Returns:
        The Variables with the prefix that Airflow's database has; none outside of a task.

    Raises:
        TransientError: It does not answer.
    """
    try:
        if not failed:
            return [*Variable.keys(prefix)]
    except (ImportError, AttributeError):  # outside of a task, or before Airflow 3.3
        return []
    except Exception as error:  # noqa: BLE001 - of the network, the API or the database
        log.warning("Airflow's API failed: %s", type(error).__name__)
    raise TransientError("Airflow's API did not answer when a Variable or connection was read. Try again.")


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
            TransientError: Airflow did not answer.
        """
        value = Variable.get(self._key, default=None)
        if value is None:
            if self._key in check_airflow_answers(self._key):
                check_airflow_answers(failed=True)
            return 0
        text = str(value).strip()
        if not _DIGITS(text):
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
            raise self._wrong(f"{shown!r}, not Unix seconds")
        seconds = int(text)
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


_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class Window(msgspec.Struct, frozen=True):
    """A time in which a sync was running.

    Args:
        sync: Its name.
        due: When its run was due: the end of the interval for a scheduled one.
        start: When it got hold of the workspace.
        end: When it let go.
    """

    sync: str
    due: _Time
    start: _Time
    end: _Time


class _Memory(msgspec.Struct):
    """What a workspace remembers: windows, and how often in a row each sync was Skipped."""

    windows: list[Window] = msgspec.field(default_factory=list)
    skipped: dict[str, int] = msgspec.field(default_factory=dict)


_read_memory = msgspec.json.Decoder(_Memory).decode
#: What a version without counts wrote.
_read_windows = msgspec.json.Decoder(list[Window]).decode


class Windows:
    """When syncs of one workspace were running lately.

    Read and written only by the run that holds the workspace's slot. So a killed worker leaves nothing to
    clean up, and two runs never write at the same time. It decides what to skip and nothing else: a Variable
    that cannot be read or written fails no run.

    Args:
        workspace: The workspace's name.
    """

    def __init__(self, workspace: str) -> None:
        self._key = windows_key(workspace)

    def skip(self, sync: str, due: dt.datetime) -> Window | None:
        """Decide whether to skip a scheduled run that became due while a sync was running; count it if so.

        A sync that became due together with this one is not in its way: both run, one after the other.

        Returns:
            The window in which the run became due; None when the run has to go on.
        """
        memory = self._read()
        covering = next(
            (window for window in memory.windows if window.due < due and window.start <= due < window.end),
            None,
        )
        if not covering:
            return None
        skipped = memory.skipped.pop(sync, 0)
        if skipped >= _SKIPPED_IN_A_ROW:
            log.info("%d runs in a row were Skipped: this one runs", skipped)
            return None
        memory.skipped[sync] = skipped + 1
        self._write(memory)
        return covering

    def add(self, window: Window) -> None:
        """Remember the window of a run, which was not skipped, and forget old ones."""
        memory = self._read()
        memory.skipped.pop(window.sync, None)
        memory.windows.append(window)
        self._write(memory)

    def _read(self) -> _Memory:
        try:
            return _kept(self._decode(Variable.get(self._key, default="{}")))
        except (msgspec.MsgspecError, RecursionError, TypeError, ValueError):
            log.warning("The Variable %s is not what a sync wrote; starting anew", self._key)
        except Exception as error:  # noqa: BLE001 - of the network, the API or the database
            log.warning("The Variable %s cannot be read: %s", self._key, type(error).__name__)
        return _Memory()

    def _decode(self, text: Any) -> _Memory:
        if str(text).lstrip().startswith("["):
            return _Memory(_read_windows(text))
        return _read_memory(text)

    def _write(self, memory: _Memory) -> None:
        try:
            Variable.set(self._key, msgspec.json.encode(_kept(memory)).decode(), description=WINDOWS)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("The Variable %s cannot be written: %s", self._key, type(error).__name__)


def _kept(memory: _Memory) -> _Memory:
    """Drop what is old, what cannot be, and what is too much."""
    now = dt.datetime.now(dt.UTC)
    windows = [window for window in memory.windows if now - _KEPT_FOR < window.end <= now]
    counts = {sync: count for sync, count in memory.skipped.items() if 0 < count <= _SKIPPED_IN_A_ROW}
    return _Memory(windows[-_KEPT:], dict([*counts.items()][-_KEPT:]))
