"""Runs as the pages show them: Airflow's state and our summaries become one status, and numbers."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine import Status
from airflow_provider_cio.plugin.metadata import Run  # noqa: TC001 - msgspec reads annotations
from airflow_provider_cio.plugin.summaries import Progress, QueryCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.plugin.metadata import Instance
    from airflow_provider_cio.plugin.summaries import RunSummary


class RunStatus(StrEnum):
    """The status of a run, in the words of the pages."""

    COMPLETED = "Completed"
    SOME_ROWS_FAILED = "Some rows failed"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    DRY_RUN = "Dry run"
    RUNNING = "Running"
    WAITING = "Waiting"
    RETRYING = "Waiting to retry"

    @property
    def slug(self) -> str:
        """The status as a CSS class and as a value of a filter."""
        return self.lower().replace(" ", "-")


#: The worst status first: a run of several syncs has the worst of theirs.
_WORST_FIRST = (Status.FAILED, Status.SOME_ROWS_FAILED, Status.COMPLETED, Status.SKIPPED)
_EXPLANATIONS = {
    RunStatus.COMPLETED: "Every row was accepted.",
    RunStatus.SOME_ROWS_FAILED: "All rows were tried, and at least one was rejected.",
    RunStatus.FAILED: "The run did not reach its end. The task log shows why.",
    RunStatus.SKIPPED: "The workspace was busy when the run was due. The next interval tries again.",
    RunStatus.DRY_RUN: "Every row was read and checked. Nothing was sent.",
    RunStatus.RUNNING: "The run is under way.",
    RunStatus.WAITING: "The run waits until another sync of the workspace has ended, or for a worker.",
    RunStatus.RETRYING: "The last try failed. Airflow tries again soon.",
}
_TRIGGERS = {
    "scheduled": "Schedule",
    "manual": "Manual",
    "asset_triggered": "Asset",
    "backfill": "Backfill",
}
_WAITING_STATES = {"scheduled", "queued", "none", ""}


class RunView(msgspec.Struct, frozen=True, gc=False):
    """A run as a page shows it.

    Args:
        run: The run.
        status: Its status.
        queries: Rows by kind of query, summed over the syncs of the run.
        seconds: How long the run took, or has taken so far; None if it has not started.
        progress: How far a running sync has come.
        reason: Why the run has its status.
    """

    run: Run
    status: RunStatus
    queries: dict[str, QueryCounts]
    seconds: float | None
    progress: Progress | None
    reason: str

    @property
    def summaries(self) -> list[RunSummary]:
        """The summaries of the run's syncs; those of an earlier try while the run is active."""
        return list(self.run.summaries.values())

    @property
    def known(self) -> bool:
        """Whether the run's numbers are final."""
        return not self.run.active and bool(self.run.summaries)

    @property
    def read(self) -> int:
        """Rows read, so far."""
        if self.progress:
            return self.progress.read
        return sum(counts.read for counts in self.queries.values())

    @property
    def imported(self) -> int:
        """Rows accepted, so far."""
        if self.progress:
            return self.progress.imported
        return sum(counts.imported for counts in self.queries.values())

    @property
    def failed(self) -> int:
        """Rows rejected, so far."""
        if self.progress:
            return self.progress.failed
        return sum(counts.failed for counts in self.queries.values())

    @property
    def rows_per_second(self) -> float | None:
        """Rows per second: of the last seconds while the sync runs, of the whole run afterwards."""
        if self.progress:
            return self.progress.rows_per_second
        seconds = sum(summary.duration for summary in self.summaries)
        return self.read / seconds if self.read and seconds and self.known else None

    @property
    def added_to_segment(self) -> int | None:
        """People who were added to the segment; None without a segment."""
        if not self.known:
            return None
        counts = [each.added_to_segment for each in self.summaries if each.added_to_segment is not None]
        return sum(counts) if counts else None

    @property
    def warnings(self) -> list[str]:
        """Warnings about the watermark."""
        return list(dict.fromkeys(text for summary in self.summaries for text in summary.warnings))

    @property
    def trigger(self) -> str:
        """What started the run."""
        word = _TRIGGERS.get(self.run.run_type, self.run.run_type)
        return f"{word}, {self.run.user}" if self.run.user else word

    @property
    def dry_run(self) -> bool:
        """Whether the run sends nothing."""
        return self._asked_for("dry_run") or any(summary.dry_run for summary in self.summaries)

    @property
    def full_refresh(self) -> bool:
        """Whether the run sends every row."""
        return self._asked_for("full_refresh")

    @property
    def last_sync_time(self) -> dt.datetime | None:
        """The last sync time that the queries used; None for 0, or if it is unknown."""
        earliest = min((int(summary.last_sync_time) for summary in self.summaries), default=0)
        return dt.datetime.fromtimestamp(earliest, dt.UTC) if earliest else None

    def _asked_for(self, switch: str) -> bool:
        return isinstance(self.run.conf, dict) and self.run.conf.get(switch) is True


def view_run(run: Run, instances: Sequence[Instance], progress: Progress | None, now: dt.datetime) -> RunView:
    """Return a run as the pages show it.

    Args:
        run: The run.
        instances: Its task instances; for an active run at least those that have not ended.
        progress: How far it has come, if it is active.
        now: The time of the page.
    """
    status = _active_status(instances) if run.active else _final_status(run)
    queries: dict[str, QueryCounts] = {}
    if not run.active:
        for summary in run.summaries.values():
            for name, counts in summary.queries.items():
                before = queries.get(name, QueryCounts())
                queries[name] = QueryCounts(
                    before.read + counts.read,
                    before.imported + counts.imported,
                    before.failed + counts.failed,
                )
    return RunView(
        run=run,
        status=status,
        queries=queries,
        seconds=_seconds(run, now),
        progress=progress if status is RunStatus.RUNNING else None,
        reason=next((each.reason for each in run.summaries.values() if each.reason), "")
        if not run.active
        else "",
    )


def explain(view: RunView) -> str:
    """Return a sentence about the status of a run."""
    return view.reason or _EXPLANATIONS[view.status]


def _active_status(instances: Sequence[Instance]) -> RunStatus:
    states = {str(each.state or "") for each in instances}
    if "up_for_retry" in states and not states & {"running"}:
        return RunStatus.RETRYING
    if states <= _WAITING_STATES:
        return RunStatus.WAITING
    return RunStatus.RUNNING


def _final_status(run: Run) -> RunStatus:
    """Derive the status of a finished run. A run that Airflow calls failed has not Completed."""
    found = {summary.status for summary in run.summaries.values()}
    worst = next((status for status in _WORST_FIRST if status in found), None)
    if run.state == "failed" and worst in {None, Status.COMPLETED, Status.SKIPPED}:
        return RunStatus.FAILED
    if worst is None:
        return RunStatus.COMPLETED
    if worst is Status.COMPLETED and all(summary.dry_run for summary in run.summaries.values()):
        return RunStatus.DRY_RUN
    return RunStatus(worst.value)


def _seconds(run: Run, now: dt.datetime) -> float | None:
    if run.active:
        return (now - run.start).total_seconds() if run.start else None
    if run.summaries:
        return sum(summary.duration for summary in run.summaries.values())
    return (run.end - run.start).total_seconds() if run.start and run.end else None
