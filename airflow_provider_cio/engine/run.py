"""One run of a sync: `run_sync` has its steps in order."""

from __future__ import annotations

import datetime as dt
import gc
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.delivery.lanes import Lanes
from airflow_provider_cio.engine.delivery.segment import SegmentMembers
from airflow_provider_cio.engine.outcome.failed_changes import FailedChanges
from airflow_provider_cio.engine.outcome.guards import FailedRowsGuard, Guards
from airflow_provider_cio.engine.outcome.not_found import NotFound
from airflow_provider_cio.engine.outcome.tally import Tally
from airflow_provider_cio.engine.retry import RecordingReport, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.engine.delivery.verdicts import Verdicts
    from airflow_provider_cio.engine.delivery.workspace import Workspace, WorkspaceWithSegments
    from airflow_provider_cio.engine.mapping.mapper import Mapper
    from airflow_provider_cio.engine.mapping.query import Nulls, Query
    from airflow_provider_cio.engine.outcome.rejection import Rejection, Report
    from airflow_provider_cio.engine.outcome.summary import Summary
    from airflow_provider_cio.engine.retry import FailedRows
    from airflow_provider_cio.engine.sources import Rows, Snapshot, Source
    from airflow_provider_cio.engine.sync import Sync
    from airflow_provider_cio.track import AppClient

#: The number of new objects after which Python looks for reference cycles.
_COLLECT_AFTER = 100_000


@dataclass(frozen=True)
class ReadBack:
    """How to find changes that Customer.io accepted and then did not apply.

    Args:
        app: Reads the activity log of the workspace.
        wait: Seconds to wait until Customer.io has applied what it accepted.
    """

    app: AppClient
    wait: float


@dataclass(frozen=True)
class _Import:
    """One query that is being imported.

    Args:
        query: The query.
        rows: Its result, which begins with the rows that failed in earlier runs.
        mapper: Turns its rows into operations.
        tally: Counts its rows.
        failed_changes: Finds its changes that were accepted and not applied, if that is possible.
        guard: Ends the run if too many of its rows fail; only of the main query.
        retried: The number of its rows that failed in earlier runs, and may fail again.
    """

    query: Query
    rows: Rows
    mapper: Mapper
    tally: Tally
    failed_changes: FailedChanges | None
    guard: FailedRowsGuard | None
    retried: int

    def send(self, workspace: Workspace) -> None:
        """Send all rows, and wait for all verdicts."""
        with Lanes(workspace, self._add_verdicts, expected_refusals=self.retried) as lanes:
            for chunk in self.rows:
                self.tally.add_read(len(chunk))
                lanes.send(self.mapper.to_operations(chunk))
        self.check_guard()

    def check_guard(self) -> None:
        """Check the failed rows, after all verdicts."""
        if self.guard:
            self.guard.check(at_end=True)

    def _add_verdicts(self, verdicts: Verdicts) -> None:
        self.tally.add_verdicts(verdicts)
        if self.guard:
            self.guard.check()

    def reject_failed_changes(
        self, snapshot: Snapshot, nulls: Nulls, not_found: NotFound | None, failed_rows: FailedRows | None
    ) -> None:
        """Reject the rows whose changes were accepted and not applied. This reads the query again."""
        if not (self.failed_changes and self.failed_changes.load()):
            return
        with read_rows(snapshot, self.query, failed_rows) as rows:
            mapper = self.query.mapper(rows.columns, nulls, _already_rejected)
            for chunk in rows:
                for operation, rejected in self.failed_changes.match(mapper.to_operations(chunk)):
                    if not_found and operation.person in not_found.people:
                        continue
                    self.tally.add_failed_change(operation, rejected)


def run_sync(
    sync: Sync,
    source: Source,
    workspace: WorkspaceWithSegments,
    report: Report,
    summary: Summary,
    *,
    read_back: ReadBack | None = None,
    guards: Guards | None = None,
    failed_rows: FailedRows | None = None,
) -> None:
    """Import all rows of a sync.

    Args:
        sync: What to import.
        source: The database to read from.
        workspace: The workspace to send to.
        report: Receives the rows that were refused.
        summary: Updated during the run, so that it is also correct for a run that fails.
        read_back: How to find changes that were accepted and not applied. Without it, such rows count as
            imported.
        guards: Limits that end the run.
        failed_rows: The rows that failed in earlier runs. They are read again, and those that fail in
            this run are added. Without it, each failed row holds the last sync time.

    Raises:
        ConfigurationError: The queries, their columns or the credentials cannot be used, or a guard tripped.
        TransientError: The source or the workspace was unavailable for too long.
    """
    report = RecordingReport(report, failed_rows) if failed_rows else report
    earlier_requests, earlier_bytes = workspace.requests, workspace.bytes_sent
    try:
        with (
            _rare_garbage_collection(),
            source.snapshot(summary.next_last_sync_time) as snapshot,
            ExitStack() as opened,
        ):
            summary.warnings += snapshot.watermark.warnings
            members = SegmentMembers() if sync.segment else None
            not_found = NotFound(read_back.app) if read_back and sync.main.updates_only else None
            imports = []
            for query in sync.queries:  # all of them are opened and checked before anything is sent
                rows = opened.enter_context(read_rows(snapshot, query, failed_rows))
                collectors = (members, not_found) if query is sync.main else ()
                on_accepted = [collector.add for collector in collectors if collector]
                tally = Tally(query.name, summary, report, on_accepted)
                mapper = query.mapper(rows.columns, sync.nulls, tally.add_rejection)
                failed_changes = FailedChanges(read_back.app, query) if read_back else None
                guard = None
                if guards and query is sync.main:
                    guard = FailedRowsGuard(guards, query.name, summary.queries[query.name], failed_rows)
                retried = _retried_rows(query, failed_rows)
                imports.append(_Import(query, rows, mapper, tally, failed_changes, guard, retried))
            report.expect(_column_names(imports))
            if guards:
                guards.check_rows(sync.main.name, lambda: snapshot.count(sync.main.sql))
            for query_import in imports:
                query_import.send(workspace)
            if not_found:
                not_found.look_up(summary)
                if members:
                    members.remove(not_found.people)
            if members and sync.segment:
                summary.added_to_segment = members.send(workspace, sync.segment)
            if read_back and summary.rows_imported:
                read_back.app.wait(read_back.wait)
                for query_import in imports:
                    query_import.reject_failed_changes(snapshot, sync.nulls, not_found, failed_rows)
                    query_import.check_guard()
        summary.finish(snapshot.watermark.next_last_sync_time, failed_rows)
    finally:
        summary.requests = workspace.requests - earlier_requests
        summary.bytes = workspace.bytes_sent - earlier_bytes
        summary.finished_at = dt.datetime.now(dt.UTC)


def _retried_rows(query: Query, failed_rows: FailedRows | None) -> int:
    """Return the number of rows of a query that failed in earlier runs."""
    return len(failed_rows.of(query.name)) if failed_rows else 0


def _column_names(imports: list[_Import]) -> list[str]:
    """Return the names of the columns of all queries, each once."""
    return list(dict.fromkeys(column.name for each in imports for column in each.rows.columns))


def _already_rejected(_: Rejection) -> None:
    """Do nothing: the row was rejected when the query was read for the first time."""


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Look for reference cycles less often. Rows have none, and looking takes a quarter of a run."""
    thresholds = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
