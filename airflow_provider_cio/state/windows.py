"""When syncs of a workspace were running lately: it decides which scheduled runs are Skipped."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Annotated, Any

import msgspec
from airflow.sdk import Variable

from airflow_provider_cio.state.names import WINDOWS_DESCRIPTION, windows_key

log = logging.getLogger(__name__)

#: Runs that waited for their workspace for longer, or behind more syncs, are not skipped.
_KEPT_FOR = dt.timedelta(days=1)
_KEPT = 200
#: How often in a row a sync is Skipped before it queues instead, so that a busy workspace starves no sync.
_SKIPPED_IN_A_ROW = 3

_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class Window(msgspec.Struct, frozen=True):
    """A time in which a sync was running.

    Args:
        sync_name: The name of the sync.
        due: When its run was due: the end of the interval for a scheduled one.
        start: When it got hold of the workspace.
        end: When it let go.
    """

    sync_name: str = msgspec.field(name="sync")
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

    def skip(self, sync_name: str, due: dt.datetime) -> Window | None:
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
        skipped = memory.skipped.pop(sync_name, 0)
        if skipped >= _SKIPPED_IN_A_ROW:
            log.info("%d runs in a row were Skipped: this one runs", skipped)
            return None
        memory.skipped[sync_name] = skipped + 1
        self._write(memory)
        return covering

    def add(self, window: Window) -> None:
        """Remember the window of a run, which was not skipped, and forget old ones."""
        memory = self._read()
        memory.skipped.pop(window.sync_name, None)
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
            Variable.set(
                self._key, msgspec.json.encode(_kept(memory)).decode(), description=WINDOWS_DESCRIPTION
            )
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("The Variable %s cannot be written: %s", self._key, type(error).__name__)


def _kept(memory: _Memory) -> _Memory:
    """Drop what is old, what cannot be, and what is too much."""
    now = dt.datetime.now(dt.UTC)
    windows = [window for window in memory.windows if now - _KEPT_FOR < window.end <= now]
    counts = {
        sync_name: count for sync_name, count in memory.skipped.items() if 0 < count <= _SKIPPED_IN_A_ROW
    }
    return _Memory(windows[-_KEPT:], dict([*counts.items()][-_KEPT:]))
