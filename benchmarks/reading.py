"""Ways to read a cursor: large fetches, small fetches, and fetches that are streamed in pieces.

Run with ``python -m benchmarks.reading``. Only reading is measured, with the loaders of a run, in alternating
rounds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from rich.console import Console
from rich.table import Table

from airflow_provider_cio.engine.sources.postgres.values import register_loaders
from local.postgres import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 300_000
ROUNDS = 5
TABLE = """
CREATE TABLE people AS SELECT n::text AS id, 'person' || n || '@example.com' AS email, n AS number,
    'plan ' || n % 7 AS plan, now() AS created_at, true AS active, 3.5::float8 AS balance, 'x' || n AS x,
    'y' || n AS y, n % 100 AS logins
FROM generate_series(1, 300000) n
"""


def fetches(connection: psycopg.Connection, rows: int) -> int:
    """Fetch this number of rows at once, as one result in memory. Returns the number of all rows."""
    cursor = connection.cursor(name="people", binary=True)
    cursor.execute("SELECT * FROM people")
    count = 0
    while found := cursor.fetchmany(rows):
        count += len(found)
    return count


def pieces(connection: psycopg.Connection, rows: int) -> int:
    """Fetch 2,000 rows at once, streamed in pieces of this number of rows. Returns the number of all rows."""
    connection.execute("DECLARE people NO SCROLL CURSOR FOR SELECT * FROM people")
    cursor = connection.cursor(binary=True)
    count = 0
    while found := sum(1 for _ in cursor.stream("FETCH FORWARD 2000 FROM people", binary=True, size=rows)):
        count += found
    return count


WAYS: dict[str, tuple[Callable[[psycopg.Connection, int], int], int]] = {
    "fetches of 5,000": (fetches, 5000),
    "fetches of 500": (fetches, 500),
    "pieces of 256": (pieces, 256),
    "pieces of 32": (pieces, 32),
    "pieces of 1": (pieces, 1),
}


def main() -> None:
    """Print microseconds per row, of CPU and of the clock: medians of several rounds."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    with LocalPostgres(Path(tempfile.mkdtemp())) as postgres:
        with postgres.connect() as connection:
            connection.execute(TABLE.encode())
        for _ in range(ROUNDS):
            for name, (way, rows) in WAYS.items():
                with psycopg.connect(postgres.uri) as connection:
                    register_loaders(connection, "unix")
                    clock, cpu = time.perf_counter(), time.process_time()
                    if way(connection, rows) != ROWS:
                        raise RuntimeError(f"{name} did not read every row")
                    figures[name].append((time.process_time() - cpu, time.perf_counter() - clock))
    table = Table("", "µs of CPU per row", "µs per row", title=f"{ROWS:,} rows of 10 columns")
    for name, measured in figures.items():
        medians = (statistics.median(times) / ROWS * 1e6 for times in zip(*measured, strict=True))
        table.add_row(name, *(f"{median:.2f}" for median in medians))
    Console().print(table)


if __name__ == "__main__":
    main()
