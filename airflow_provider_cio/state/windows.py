"""The times when syncs of a workspace were running. They decide which scheduled runs are Skipped."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Annotated, Any

import msgspec
from airflow.sdk import Variable

from airflow_provider_cio.state.names import WINDOWS_DESCRIPTION, windows_key

log = logging.getLogger(__name__)

#: Older windows are forgotten: a run that waited longer than this for its workspace is not skipped.
_LONGEST_AGE = dt.timedelta(days=1)
#: The most windows, and the most counts, that are kept.
_LARGEST_COUNT = 200
#: The number of consecutive Skipped runs after which a sync queues instead. Otherwise a busy workspace could
#: keep a sync from ever running.
_SKIPPED_IN_A_ROW = 3

_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class Window(msgspec.Struct, frozen=True):
    """A time when a sync was running.

    Args:
        sync_name: The name of the sync.
        due: When its run was due: for a scheduled run, the end of its interval.
        start: When the run got the slot of the workspace.
        end: When it returned the slot.
    """

    sync_name: str = msgspec.field(name="sync")
    due: _Time
    start: _Time
    end: _Time


class _Memory(msgspec.Struct):
    """What is stored: the windows, and for each sync the number of consecutive Skipped runs."""

    windows: list[Window] = msgspec.field(default_factory=list)
    skipped: dict[str, int] = msgspec.field(default_factory=dict)


_read_memory = msgspec.json.Decoder(_Memory).decode
#: The form in which earlier versions stored windows.
_read_windows = msgspec.json.Decoder(list[Window]).decode


class Windows:
    """The windows of one workspace, in an Airflow Variable.

    Only the run that holds the slot of the workspace reads and writes them. So a killed worker leaves nothing
    to clean up, and two runs never write at the same time. They decide only which runs are skipped, so a
    Variable that cannot be read or written does not fail a run.

    Args:
        workspace: The name of the workspace.
    """

    def __init__(self, workspace: str) -> None:
        self._key = windows_key(workspace)

    def skip(self, sync_name: str, due: dt.datetime) -> str | None:
        """Decide whether to skip a scheduled run that became due while a sync was running, and count it.

        A sync that was due at the same time does not count: both run, one after the other.

        Args:
            sync_name: The name of the run's sync.
            due: When the run was due.

        Returns:
            Why the run is skipped, as a sentence for people; None if the run must go on.
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
            log.info("The last %d runs were Skipped, so this run goes on.", skipped)
            return None
        memory.skipped[sync_name] = skipped + 1
        self._write(memory)
        return (
            f"at {due:%H:%M:%S} {covering.sync_name} was importing into the workspace"
            f" ({covering.start:%H:%M:%S} to {covering.end:%H:%M:%S} UTC). The next interval tries again."
        )

    def add(self, sync_name: str, due: dt.datetime, start: dt.datetime) -> None:
        """Add the window of a run that ends now.

        Args:
            sync_name: The name of its sync.
            due: When it was due.
            start: When it got the slot of the workspace.
        """
        memory = self._read()
        memory.skipped.pop(sync_name, None)
        memory.windows.append(Window(sync_name, due, start, dt.datetime.now(dt.UTC)))
        self._write(memory)

    def _read(self) -> _Memory:
        try:
            return _pruned(self._decode(Variable.get(self._key, default="{}")))
        except (msgspec.MsgspecError, RecursionError, TypeError, ValueError):
            log.warning("The Variable %s does not hold what a sync wrote. It is replaced.", self._key)
        except Exception as error:  # noqa: BLE001 - of the network, the API or the database
            log.warning("The Variable %s cannot be read: %s", self._key, type(error).__name__)
        return _Memory()

    def _decode(self, text: Any) -> _Memory:
        if str(text).lstrip().startswith("["):
            return _Memory(_read_windows(text))
        return _read_memory(text)

    def _write(self, memory: _Memory) -> None:
        text = msgspec.json.encode(_pruned(memory)).decode()
        try:
            Variable.set(self._key, text, description=WINDOWS_DESCRIPTION)
        except Exception as error:  # noqa: BLE001 - of the network, the API or the database
            log.warning("The Variable %s cannot be written: %s", self._key, type(error).__name__)


def _pruned(memory: _Memory) -> _Memory:
    """Return the memory without entries that are old, impossible, or too many."""
    now = dt.datetime.now(dt.UTC)
    windows = [window for window in memory.windows if now - _LONGEST_AGE < window.end <= now]
    counts = {name: count for name, count in memory.skipped.items() if 0 < count <= _SKIPPED_IN_A_ROW}
    return _Memory(windows[-_LARGEST_COUNT:], dict([*counts.items()][-_LARGEST_COUNT:]))
