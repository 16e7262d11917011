"""A million people with ten columns, from Postgres to a workspace that only counts.

Contenders run in separate processes, in alternating rounds, so that noise of the machine affects all of them.
Memory is the peak of the process above its memory before it starts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from airflow_provider_cio.emulator.process import EmulatorProcess
from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from airflow_provider_cio.track import TrackClient
from local.postgres import LocalPostgres

ROWS = 1_000_000
ROUNDS = 3

_PEOPLE = """
CREATE TABLE people AS SELECT
    n AS id, 'user' || n || '@example.com' AS email, 'First' || n %% 5000 AS first_name,
    'Last' || n %% 7000 AS last_name, (array['free', 'pro', 'team', 'enterprise'])[1 + n %% 4] AS plan,
    timestamptz '2024-01-01' + n * interval '7 seconds' AS created_at,
    (n * 37 %% 100000)::numeric(12, 2) / 100 AS lifetime_value, n %% 2 = 0 AS is_active,
    n %% 500 AS orders, 'City ' || n %% 300 AS city
FROM generate_series(1, %d) AS n
"""


def engine(uri: str, site_id: str, api_key: str, base_url: str) -> int:
    """Import with the engine, and return the number of accepted rows."""
    summary = Summary(0)
    with TrackClient(
        site_id=site_id, api_key=api_key, base_url=base_url, max_requests_per_second=1000
    ) as client:
        sync = Sync(main=PeopleQuery(sql="SELECT * FROM people"))
        run_sync(sync, PostgresSource(lambda: psycopg.connect(uri)), client, Rejections(), summary)
    return summary.queries["people"].imported


def hand_written_loop(uri: str, site_id: str, api_key: str, base_url: str) -> int:
    """Import with a simple loop: rows as dicts, `json.dumps`, one request after the other."""
    import json  # noqa: PLC0415 - its memory must not count for the engine
    from decimal import Decimal  # noqa: PLC0415

    import requests  # noqa: PLC0415
    from psycopg.rows import dict_row  # noqa: PLC0415

    def plain(value: object) -> object:
        return float(value) if isinstance(value, Decimal) else int(value.timestamp())  # type: ignore[attr-defined]

    sent = 0
    with psycopg.connect(uri) as connection, requests.Session() as session:
        session.auth = (site_id, api_key)
        cursor = connection.cursor(name="people", row_factory=dict_row)
        cursor.execute("SELECT * FROM people")
        while rows := cursor.fetchmany(1500):
            batch = [
                {
                    "type": "person",
                    "action": "identify",
                    "identifiers": {"id": str(row.pop("id"))},
                    "attributes": row,
                }
                for row in rows
            ]
            body = json.dumps({"batch": batch}, default=plain)
            session.post(
                f"{base_url}/api/v2/batch",
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=60,
            ).raise_for_status()
            sent += len(rows)
    return sent


CONTENDERS = {"engine": engine, "hand-written loop": hand_written_loop}


def _mib(field: str) -> float:
    """Return a figure of this process's memory in MiB. getrusage can return the parent's peak instead."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def contend(name: str, *arguments: str) -> None:
    """Run one contender in this process, and print seconds and MiB."""
    idle = _mib("VmRSS")
    start = time.perf_counter()
    imported = CONTENDERS[name](*arguments)
    seconds = time.perf_counter() - start
    if imported != ROWS:
        raise SystemExit(f"{name} imported {imported} rows instead of {ROWS}")
    print(seconds, _mib("VmHWM") - idle)  # noqa: T201 - the parent process reads it


def main() -> None:
    """Run all contenders in rounds and print medians."""
    console = Console()
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPostgres(Path(folder)) as postgres,
        EmulatorProcess(count_only=True) as emulator,
    ):
        with postgres.connect() as connection:
            connection.execute((_PEOPLE % ROWS).encode())
            connection.execute("VACUUM ANALYZE people")
        for number in range(1, ROUNDS + 1):
            for name, measured in results.items():
                command = [sys.executable, "-m", "benchmarks.people", name]
                arguments = [postgres.uri, emulator.site_id, emulator.api_key, emulator.url]
                done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
                seconds, mib = map(float, done.stdout.split())
                measured.append((seconds, mib))
                console.print(f"round {number}: {name}: {ROWS / seconds:,.0f} rows/s, {mib:.0f} MiB")
    table = Table(title=f"{ROWS:,} people of 10 columns, medians of {ROUNDS} rounds")
    for heading in ("contender", "rows/s", "ratio", "MiB above idle"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    slowest = max(statistics.median(seconds for seconds, _ in measured) for measured in results.values())
    for name, measured in results.items():
        seconds = statistics.median(seconds for seconds, _ in measured)
        mib = statistics.median(mib for _, mib in measured)
        table.add_row(name, f"{ROWS / seconds:,.0f}", f"{slowest / seconds:.1f}", f"{mib:.0f}")
    console.print(table)


if __name__ == "__main__":
    contend(*sys.argv[1:]) if len(sys.argv) > 1 else main()
