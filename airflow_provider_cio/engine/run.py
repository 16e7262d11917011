"""One run of a sync, from top to bottom."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.delivery import Delivery
from airflow_provider_cio.engine.objects import ObjectsMapper
from airflow_provider_cio.engine.people import PeopleMapper
from airflow_provider_cio.engine.queries import ObjectsQuery, PeopleQuery, Query, Sync
from airflow_provider_cio.engine.relationships import RelationshipsMapper
from airflow_provider_cio.engine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.mapping import Mapper
    from airflow_provider_cio.engine.queries import Nulls
    from airflow_provider_cio.engine.rejection import Rejection
    from airflow_provider_cio.engine.source import Column, Source
    from airflow_provider_cio.engine.summary import Summary
    from airflow_provider_cio.engine.verdicts import Workspace


def run_sync(
    sync: Sync,
    source: Source,
    workspace: Workspace,
    on_rejection: Callable[[Rejection], None],
    summary: Summary,
) -> None:
    """Import every row of the sync's queries and say what became of each.

    Args:
        sync: What to import.
        source: Where the rows are.
        workspace: Where they go.
        on_rejection: Told of every row that was refused.
        summary: Filled while the run goes, so that it is true of a run that breaks off, too.

    Raises:
        ConfigurationError: The queries, their columns or the credentials cannot be used.
        TransientError: The source or the workspace was not to be had for too long.
        VerdictError: Nobody knows what became of some rows.
    """
    try:
        with source.snapshot() as snapshot, ExitStack() as opened:
            imports = []
            for query in sync.queries:  # all of them are checked before anything is sent
                rows = opened.enter_context(snapshot.read(query.sql))
                tally = Tally(query.name, summary, on_rejection)
                imports.append((rows, compile_mapper(query, rows.columns, sync.nulls, tally.reject), tally))
            for rows, mapper, tally in imports:
                with Delivery(workspace, tally.settle) as delivery:
                    for chunk in rows:
                        tally.read(len(chunk))
                        delivery.send(mapper.operations(chunk))
        summary.finish(snapshot.next_last_sync_time)
    finally:
        summary.requests = workspace.requests
        summary.bytes = workspace.bytes_sent
        summary.finished_at = dt.datetime.now(dt.UTC)


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
