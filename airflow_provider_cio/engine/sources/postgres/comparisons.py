"""Comparisons with the last sync time that mean something else than people expect.

What a comparison means depends on the column's type, which only Postgres knows: it locks the tables of a
query that it has planned, so their columns can be looked up by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, LiteralString

from airflow_provider_cio.engine.sources.postgres.types import is_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.engine.sources.postgres.source import Snapshot
    from airflow_provider_cio.engine.sources.postgres.types import Column

#: ``updated_at >= to_timestamp(…)``, with the cast behind it, if any.
_COMPARED = re.compile(
    r'("[^"]+"|[\w$]+)\s*(>=?)\s*(?:pg_catalog\.)?to_timestamp\s*\([^()]*\)(\s*::\s*date\b)?', re.IGNORECASE
)

_TYPES: LiteralString = """
SELECT DISTINCT atttypid::regtype::text
FROM pg_catalog.pg_locks JOIN pg_catalog.pg_attribute ON attrelid = relation AND attnum > 0
WHERE pid = pg_backend_pid() AND attname = %s
"""

_NAIVE = "timestamp without time zone"


def find_warnings(query: str, columns: list[Column], snapshot: Snapshot) -> list[str]:
    """Find what a query may not mean.

    Args:
        query: The query; it has been opened in the snapshot.
        columns: Its columns.
        snapshot: Where it was opened.
    """
    naive = {column.name for column in columns if column.postgres_type.startswith(_NAIVE)}
    warnings: dict[str, None] = {}
    for name, operator, cast in _COMPARED.findall(query):
        column = name.strip('"') if name.startswith('"') else name.lower()
        types = {shown for (shown,) in snapshot.rows_of(_TYPES, column)}
        warnings |= dict.fromkeys(_of_dates(column, operator, cast) if "date" in types else ())
        if _NAIVE in types:
            naive.add(column)
    if naive and not is_utc(snapshot.time_zone):
        names = ", ".join(sorted(naive))
        warnings[
            f"{names}: of type timestamp without time zone, which Postgres reads as the time"
            f" in {snapshot.time_zone} here. If the column holds UTC, give the connection the extra"
            ' {"options": "-c timezone=UTC"}.'
        ] = None
    return list(warnings)


def _of_dates(column: str, operator: str, cast: str) -> Iterator[str]:
    """Say when a comparison with a date misses what changes later on the same day."""
    if operator != ">=" or not cast:
        yield (
            f"{column}: of type date, so a row that changes later on the day of a run is missed by the next."
            f" Write {column} >= to_timestamp({{{{ last_sync_time }}}})::date"
        )
