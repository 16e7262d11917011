"""How long the pages take with 500 syncs and 100,000 runs: `python -m benchmarks.pages`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from local.postgres import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Callable

SYNCS, RUNS = 500, 200
_TURNS = 9


def main() -> None:
    """Measure each page on SQLite and on Postgres, each in a process of its own, which Airflow needs."""
    table = Table("database", "page", "median ms", "slowest ms", "kB", "queries")
    for database in ("sqlite", "postgres"):
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, database], check=True, capture_output=True, text=True
        )
        for line in done.stdout.splitlines():
            if line.startswith("PAGE "):
                table.add_row(*line.split()[1:])
    Console().print(table)


def _measure(database: str) -> None:
    with ExitStack() as opened:
        home = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{home}/airflow.db"
        if database == "postgres":
            server = opened.enter_context(LocalPostgres(home))
            url = server.uri.replace("postgresql://", "postgresql+psycopg2://")
        os.environ |= {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        }
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
        _measure_pages(database)


def _measure_pages(database: str) -> None:
    from airflow import settings  # noqa: PLC0415 - Airflow reads the environment when it is imported
    from sqlalchemy import event, text  # noqa: PLC0415

    from airflow_provider_cio.plugin import pages, permissions  # noqa: PLC0415
    from local.many_runs import fill  # noqa: PLC0415

    assert settings.engine  # noqa: S101 - Airflow's import has made it
    ids = fill(settings.engine, syncs=SYNCS, runs=RUNS)
    with settings.engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    statements: list[str] = []
    event.listen(settings.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    user: Any = None
    run_id = "scheduled__2026-11-02T00:00:00+00:00"
    calls: dict[str, Callable[[], Any]] = {
        "syncs": lambda: pages.syncs(user),
        "imports": lambda: pages.imports(ids[3], user),
        "run": lambda: pages.run(ids[3], run_id, user),
    }
    allowed = permissions.Permissions(trigger=True, pause=True, reset=True, queries=True)
    with (
        mock.patch.object(permissions, "readable_dags", return_value=set(ids)),
        mock.patch.object(permissions, "may_read_import_errors", return_value=True),
        mock.patch.object(permissions, "permissions", return_value=allowed),
    ):
        for name, call in calls.items():
            times = []
            for _ in range(_TURNS):
                statements.clear()
                begin = time.perf_counter()
                size = len(call().body)
                times.append(1000 * (time.perf_counter() - begin))
            median, slowest = statistics.median(times), max(times[1:])  # the first compiles templates and SQL
            print("PAGE", database, name, f"{median:.0f}", f"{slowest:.0f}", size // 1000, len(statements))  # noqa: T201


if __name__ == "__main__":
    _measure(sys.argv[1]) if sys.argv[1:] else main()
