"""Warnings about comparisons with the last sync time that can miss rows.

The meaning of a comparison depends on the type of the column, which only Postgres knows. Postgres locks the
tables of a query that it has planned, so the types of their columns can be looked up by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, LiteralString

from airflow_provider_cio.engine.sources.postgres.types import is_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.engine.sources.column import Column

#: Matches ``updated_at >= to_timestamp(…)``, with the cast that may follow.
_COMPARISON = re.compile(
    r'("[^"]+"|[\w$]+)\s*(>=?)\s*(?:pg_catalog\.)?to_timestamp\s*\([^()]*\)(\s*::\s*date\b)?', re.IGNORECASE
)

_TYPES: LiteralString = """
SELECT DISTINCT atttypid::regtype::text
FROM pg_catalog.pg_locks JOIN pg_catalog.pg_attribute ON attrelid = relation AND attnum > 0
WHERE pid = pg_backend_pid() AND attname = %s
"""

_NAIVE = "timestamp without time zone"


def comparison_warnings(
    query: str,
    columns: Sequence[Column],
    rows_of: Callable[[LiteralString, str], list[tuple[Any, ...]]],
    time_zone: str,
) -> list[str]:
    """Return warnings about a query that has been opened in a snapshot.

    Args:
        query: The query.
        columns: Its columns.
        rows_of: Runs a statement of ours in the snapshot and returns its rows.
        time_zone: The session's time zone.
    """
    naive = {column.name for column in columns if column.declared_type.startswith(_NAIVE)}
    warnings: dict[str, None] = {}
    for name, operator, cast in _COMPARISON.findall(query):
        column = name.strip('"') if name.startswith('"') else name.lower()
        types = {type_name for (type_name,) in rows_of(_TYPES, column)}
        warnings |= dict.fromkeys(_date_warnings(column, operator, cast) if "date" in types else ())
        if _NAIVE in types:
            naive.add(column)
    if naive and not is_utc(time_zone):
        names = ", ".join(sorted(naive))
        warnings[
            f"{names}: of type timestamp without time zone, which Postgres reads as times in {time_zone}."
            ' If it contains UTC, set {"options": "-c timezone=UTC"} in the extra of the Postgres connection.'
        ] = None
    return list(warnings)


def _date_warnings(column: str, operator: str, cast: str) -> Iterator[str]:
    """Yield a warning if a comparison with a date misses rows that change later on the same day."""
    if operator != ">=" or not cast:
        yield (
            f"{column}: of type date, so the next run misses rows that change later on the day of a run."
            f" Write {column} >= to_timestamp({{{{ last_sync_time }}}})::date"
        )
