"""What a sync would do: the first rows of its queries and what would become of them. Nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine.outcome.rejection import Rejections
from airflow_provider_cio.engine.run import compile_mapper
from airflow_provider_cio.engine.sources.postgres.comparisons import find_warnings
from airflow_provider_cio.errors import QueryError

if TYPE_CHECKING:
    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.engine.queries import Nulls, Query, Sync
    from airflow_provider_cio.engine.sources import Column, PostgresSource, Row, Snapshot

#: How many rows of each query are looked at.
PREVIEW_ROWS = 100
#: Rows are kept until they have so many bytes of JSON: a hundred of long documents would take gigabytes.
PREVIEW_BYTES = 20_000_000


@dataclass
class Preview:
    """The beginning of one query.

    Args:
        query: Its name.
        columns: Its columns.
        rows: Its first rows, as they are read.
        operations: What they would become.
        rejections: Those that would be refused before they are sent.
        warnings: What the query may not mean, and what to know about the last sync time.
        fault: Why the columns cannot be used; there are no operations then.
    """

    query: str
    columns: list[Column]
    rows: list[Row]
    operations: list[Operation] = field(default_factory=list)
    rejections: Rejections = field(default_factory=Rejections)
    warnings: list[str] = field(default_factory=list)
    fault: str | None = None


def preview(sync: Sync, source: PostgresSource) -> list[Preview]:
    """Look at the first rows of each query of a sync.

    Raises:
        ConfigurationError: The connection is wrong, or Postgres refuses a query or cannot compute a row.
        SourceUnavailableError: Postgres cannot be reached, or went away.
    """
    with source.snapshot() as snapshot:
        seen = [_look_at(query, snapshot, sync.nulls) for query in sync.queries]
        seen[0].warnings += snapshot.watermark.warnings
        return seen


def _look_at(query: Query, snapshot: Snapshot, nulls: Nulls) -> Preview:
    with snapshot.read(query.sql, first=PREVIEW_ROWS) as rows:
        seen = Preview(query.name, rows.columns, [])
        length = 0
        for chunk in rows:  # all are read, because the next query needs the connection
            if length < PREVIEW_BYTES:
                seen.rows += chunk
                length += sum(len(msgspec.json.encode(row)) for row in chunk)
        if length >= PREVIEW_BYTES:
            seen.warnings.append(
                f"Only the first {len(seen.rows)} rows are looked at: their values are long."
            )
        seen.warnings += find_warnings(query.sql, rows.columns, snapshot)
    try:
        mapper = compile_mapper(query, seen.columns, nulls, seen.rejections.add)
    except QueryError as error:
        seen.fault = str(error)
    else:
        seen.operations = mapper.operations(seen.rows) if seen.rows else []
    return seen
