"""One run of a sync, from top to bottom."""

from __future__ import annotations

import datetime as dt
import gc
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.delivery.delivery import Delivery
from airflow_provider_cio.engine.delivery.segment import Members
from airflow_provider_cio.engine.mapping.objects import ObjectsMapper
from airflow_provider_cio.engine.mapping.people import PeopleMapper
from airflow_provider_cio.engine.mapping.relationships import RelationshipsMapper
from airflow_provider_cio.engine.outcome.failed_changes import FailedChanges
from airflow_provider_cio.engine.outcome.tally import Tally
from airflow_provider_cio.engine.queries import ObjectsQuery, PeopleQuery, Query, Sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.engine.delivery.segment import WorkspaceWithSegments
    from airflow_provider_cio.engine.mapping.mapper import Mapper
    from airflow_provider_cio.engine.outcome.rejection import Rejection, Report
    from airflow_provider_cio.engine.outcome.summary import Summary
    from airflow_provider_cio.engine.queries import Nulls
    from airflow_provider_cio.engine.sources import Column, PostgresSource, Rows, Snapshot
    from airflow_provider_cio.track import AppClient

#: How many objects Python makes before it looks for cycles among them.
_COLLECT_AFTER = 100_000


@dataclass(frozen=True)
class ReadBack:
    """How to find changes that Customer.io accepted and then did not apply.

    Args:
        app: Looks into the workspace.
        wait: Seconds that Customer.io gets to apply what it accepted.
    """

    app: AppClient
    wait: float


@dataclass(frozen=True)
class _Import:
    """One query on its way: its rows, what makes operations of them, and who counts them."""

    query: Query
    rows: Rows
    mapper: Mapper
    tally: Tally


def run_sync(
    sync: Sync,
    source: PostgresSource,
    workspace: WorkspaceWithSegments,
    report: Report,
    summary: Summary,
    *,
    read_back: ReadBack | None = None,
) -> None:
    """Import every row of the sync's queries and say what became of each.

    Args:
        sync: What to import.
        source: Where the rows are.
        workspace: Where they go.
        report: Gets every row that was refused.
        summary: Filled while the run goes, so that it is true of a run that breaks off, too.
        read_back: How to find what was accepted and not applied; without it such rows count as imported.

    Raises:
        ConfigurationError: The queries, their columns or the credentials cannot be used.
        TransientError: The source or the workspace was not to be had for too long.
    """
    requests, bytes_sent = workspace.requests, workspace.bytes_sent  # of earlier runs with this client
    try:
        with (
            _rare_collections(),
            source.snapshot(summary.next_last_sync_time) as snapshot,
            ExitStack() as opened,
        ):
            summary.warnings += snapshot.watermark.warnings
            members = Members() if sync.segment else None
            imports = []
            for query in sync.queries:  # all of them are checked before anything is sent
                rows = opened.enter_context(snapshot.read(query.sql))
                on_accepted = members.add if members and query is sync.main else None
                tally = Tally(query.name, summary, report, on_accepted)
                mapper = compile_mapper(query, rows.columns, sync.nulls, tally.reject)
                imports.append(_Import(query, rows, mapper, tally))
            report.expect(
                list(dict.fromkeys(column.name for each in imports for column in each.rows.columns))
            )
            failed = (
                [(each, FailedChanges(read_back.app, each.query)) for each in imports] if read_back else []
            )
            for each in imports:
                with Delivery(workspace, each.tally.settle) as delivery:
                    for chunk in each.rows:
                        each.tally.read(len(chunk))
                        delivery.send(each.mapper.operations(chunk))
            if members and sync.segment:
                summary.added_to_segment = members.send(workspace, sync.segment)
            if read_back and summary.rows_imported:
                read_back.app.wait(read_back.wait)
                for each, changes in failed:
                    if changes.read():
                        _take_back(each, changes, snapshot, sync.nulls)
        summary.finish(snapshot.next_last_sync_time)
    finally:
        summary.requests = workspace.requests - requests
        summary.bytes = workspace.bytes_sent - bytes_sent
        summary.finished_at = dt.datetime.now(dt.UTC)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python look for cycles less often: rows make none, and looking costs a quarter of a run."""
    usual = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _take_back(done: _Import, changes: FailedChanges, snapshot: Snapshot, nulls: Nulls) -> None:
    """Read a query again for the rows whose changes failed."""
    with snapshot.read(done.query.sql) as rows:
        mapper = compile_mapper(done.query, rows.columns, nulls, _ignore)
        for chunk in rows:
            for operation, error in changes.match(mapper.operations(chunk)):
                done.tally.take_back(operation, error)


def _ignore(_: Rejection) -> None:
    """Do nothing: the row was rejected when the query was read first."""


def compile_mapper(
    query: Query, columns: Sequence[Column], nulls: Nulls, on_rejection: Callable[[Rejection], None]
) -> Mapper:
    """Make the mapper of a query.

    Raises:
        QueryError: Its columns cannot be used.
    """
    if isinstance(query, PeopleQuery):
        return PeopleMapper(query, columns, nulls, on_rejection)
    if isinstance(query, ObjectsQuery):
        return ObjectsMapper(query, columns, nulls, on_rejection)
    return RelationshipsMapper(query, columns, nulls, on_rejection)
