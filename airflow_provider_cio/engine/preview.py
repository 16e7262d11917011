"""A preview of a sync: the first rows of its queries, and what they would become. Nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine.outcome.rejection import Rejections
from airflow_provider_cio.errors import QueryError, SyncError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.engine.mapping.query import Nulls, Query
    from airflow_provider_cio.engine.sources import Column, Row, Snapshot, Source
    from airflow_provider_cio.engine.sync import Sync

#: The number of rows that are read of each query.
PREVIEW_ROWS = 100
#: Rows are kept until their JSON has this many bytes: a hundred rows of long documents would take gigabytes.
PREVIEW_BYTES = 20_000_000


@dataclass
class Preview:
    """The first rows of one query.

    Args:
        query: The kind of the query.
        columns: The columns of its result.
        rows: Its first rows, as they are read.
        operations: The operations that the rows would become.
        rejections: The rows that would be refused before anything is sent.
        warnings: Warnings about the query and about the last sync time.
        problem: Why the columns cannot be used, if they cannot. There are no operations then.
        selected: The number of rows that the query selects; None if they were not counted.
        total: The number of rows that it selects with last sync time 0.
    """

    query: str
    columns: Sequence[Column]
    rows: list[Row]
    operations: list[Operation] = field(default_factory=list)
    rejections: Rejections = field(default_factory=Rejections)
    warnings: list[str] = field(default_factory=list)
    problem: str | None = None
    selected: int | None = None
    total: int | None = None


def preview(
    sync: Sync, source: Source, *, rows: int = PREVIEW_ROWS, full_refresh: Sync | None = None
) -> list[Preview]:
    """Read the first rows of each query of a sync.

    Args:
        sync: What to preview.
        source: The database to read from.
        rows: The number of rows of each query.
        full_refresh: The same sync with last sync time 0. If it is given, the rows of both are counted.

    Raises:
        ConfigurationError: The connection cannot be used, or the database refuses a query.
        SourceUnavailableError: The database cannot be reached, or stopped answering.
    """
    with source.snapshot() as snapshot:
        previews = [_preview(query, snapshot, sync.nulls, rows) for query in sync.queries]
        previews[0].warnings += snapshot.watermark.warnings
        if full_refresh:
            _count_rows(previews, sync, full_refresh, snapshot)
        return previews


def _count_rows(previews: Sequence[Preview], sync: Sync, full_refresh: Sync, snapshot: Snapshot) -> None:
    """Count the rows of each query. A later row that cannot be computed is no reason to show nothing."""
    for result, query, full in zip(previews, sync.queries, full_refresh.queries, strict=True):
        try:
            selected = snapshot.count(query.sql)
            result.total = selected if full.sql == query.sql else snapshot.count(full.sql)
        except SyncError as error:
            result.warnings.append(f"The rows cannot be counted. {error}")
            return  # Postgres has ended the transaction
        result.selected = selected


def _preview(query: Query, snapshot: Snapshot, nulls: Nulls, first: int) -> Preview:
    with snapshot.read(query.sql, first=first) as rows:
        result = Preview(query.name, rows.columns, [])
        length = 0
        for chunk in rows:  # read to the end, because the next query needs the connection
            if length < PREVIEW_BYTES:
                result.rows += chunk
                length += sum(len(msgspec.json.encode(row)) for row in chunk)
        if length >= PREVIEW_BYTES:
            result.warnings.append(
                f"The preview has only {len(result.rows)} rows, because their values are long."
            )
        result.warnings += snapshot.comparison_warnings(query.sql, rows.columns)
    try:
        mapper = query.mapper(result.columns, nulls, result.rejections.add)
    except QueryError as error:
        result.problem = str(error)
    else:
        result.operations = mapper.to_operations(result.rows) if result.rows else []
    return result
