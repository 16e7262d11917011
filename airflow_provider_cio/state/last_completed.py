"""The last run of a sync that Completed, in an Airflow Variable.

It is a Variable and not an XCom or the extra of an asset event: the run before can be Failed or Skipped, and
``airflow db clean`` removes XComs and asset events. Only the run that holds the slot of the workspace's pool
writes it.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

import msgspec
from airflow.sdk import Variable

from airflow_provider_cio.state.names import LAST_COMPLETED_DESCRIPTION, last_completed_key

if TYPE_CHECKING:
    from airflow_provider_cio.engine import Summary

log = logging.getLogger(__name__)


class CompletedRun(msgspec.Struct, frozen=True):
    """A run that Completed.

    Args:
        finished_at: When it ended, with its time zone.
        full_rows: The number of rows of the main query in the last Completed run that read everything, which
            can be an earlier run; None if there is none.
    """

    finished_at: dt.datetime
    full_rows: int | None = None


class LastCompleted:
    """The last run of one sync that Completed.

    Args:
        workspace: The name of the workspace.
        sync_name: The name of the sync.
    """

    def __init__(self, workspace: str, sync_name: str) -> None:
        self._key = last_completed_key(workspace, sync_name)

    def read(self) -> CompletedRun | None:
        """Return the run, or None if no run has Completed or the Variable cannot be read."""
        value = Variable.get(self._key, default=None)
        if value is None:
            return None
        try:
            completed = msgspec.json.decode(str(value), type=CompletedRun)
        except msgspec.DecodeError:  # also for JSON of another shape
            log.warning("The Variable %s is not valid, and is not used. Delete it.", self._key)
            return None
        if completed.finished_at.tzinfo is None:
            return msgspec.structs.replace(
                completed, finished_at=completed.finished_at.replace(tzinfo=dt.UTC)
            )
        return completed

    def store(self, summary: Summary, *, reads_everything: bool) -> None:
        """Store a run that Completed.

        Args:
            summary: Its summary.
            reads_everything: Whether its main query read everything, and not only changes.
        """
        full_rows: int | None = next(iter(summary.queries.values())).read
        if not reads_everything:
            last = self.read()
            full_rows = last.full_rows if last else None
        completed = CompletedRun(summary.finished_at or dt.datetime.now(dt.UTC), full_rows)
        text = msgspec.json.encode(completed).decode()
        Variable.set(self._key, text, description=LAST_COMPLETED_DESCRIPTION)
