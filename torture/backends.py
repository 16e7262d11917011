"""Backends of Postgres that are terminated at random moments of runs.

Each run that is hit ends as transient and leaves the last sync time where it was. The run after it imports
everything; at the end the workspace equals the source.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg

from airflow_provider_cio.engine import (
    PeopleQuery,
    PostgresSource,
    Rejections,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.errors import SourceUnavailableError
from local.postgres import LocalPostgres
from local.processes import wait_until
from torture.scenario import BrokenPromiseError, expect
from torture.workspace import Workspace

if TYPE_CHECKING:
    from concurrent.futures import Future

    from torture.scenario import Trial

#: Runs that may end before their backend is hit, for each one that is hit.
_LATE_RUNS = 5
_SHORTER, _LONGER = 0.8, 1.2
_NAME = "torture"
_TERMINATE = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{_NAME}'"


def run(trial: Trial) -> str:
    """Terminate backends until so many runs were hit."""
    chance = random.Random(trial.seed)
    rows, kills = trial.scale(20_000, 5_000), trial.scale(40, 5)
    with LocalPostgres(trial.folder) as postgres, Workspace() as workspace, postgres.connect() as connection:
        connection.execute(
            f"CREATE TABLE people AS SELECT 'b' || n AS id, 0 AS round, repeat(n::text || ' ', 150) AS text,"
            f" repeat('x', 1000) AS a, repeat('y', 1000) AS b, repeat('z', 1000) AS c,"
            f" now() AS updated_at FROM generate_series(1, {rows}) n".encode()
        )
        victim = _Victim(postgres, workspace)
        longest = victim.run().duration
        hit = late = 0
        while hit < kills:
            expect(
                late <= kills * _LATE_RUNS, f"{late} runs ended before their backend was hit, {hit} did not"
            )
            connection.execute("UPDATE people SET round = round + 1, updated_at = now()")
            before = victim.last_sync_time
            if not _hit(victim, connection, chance.uniform(0, longest)):
                late += 1
                longest *= _SHORTER  # a later run is faster than the first
                continue
            hit += 1
            longest *= _LONGER
            expect(victim.last_sync_time == before, "a run that was hit moved the last sync time")
            summary = victim.run()
            expect(summary.status is Status.COMPLETED, f"the run after it: {summary.status}")
            expect(summary.rows_imported == rows, f"the run after it imported {summary.rows_imported:,} rows")
        expected = connection.execute("SELECT id, round::text, text FROM people").fetchall()
        found = workspace.people(id_ for id_, _, _ in expected)
        wrong = [id_ for id_, *values in expected if [found[id_]["round"], found[id_]["text"]] != values]
        expect(not wrong, f"{len(wrong)} rows differ from the source, such as {wrong[:5]}")
    return (
        f"{rows:,} rows, {hit} runs lost their backend ({late} had read all rows before), each was transient"
        " and each next one Completed; 0 rows differ"
    )


def _hit(victim: _Victim, connection: psycopg.Connection[Any], delay: float) -> bool:
    """Run, terminate the backend after a while, and say whether the run was hit."""
    with ThreadPoolExecutor(1) as threads:
        running: Future[Summary] = threads.submit(victim.run)
        wait_until(
            lambda: (
                running.done()
                or connection.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE application_name = %s", [_NAME]
                ).fetchone()
            ),
            what="The run's connection",
            seconds=60,
        )
        time.sleep(delay)
        connection.execute(_TERMINATE.encode())
        try:
            running.result()
        except SourceUnavailableError:
            return True
        except Exception as error:
            raise BrokenPromiseError(
                f"a run that was hit raised {error!r}, which is not transient"
            ) from error
    return False


class _Victim:
    """A sync, and what Airflow remembers for it."""

    def __init__(self, postgres: LocalPostgres, workspace: Workspace) -> None:
        self._source = PostgresSource(lambda: psycopg.connect(postgres.uri, application_name=_NAME))
        self._workspace = workspace
        self.last_sync_time = 0

    def run(self) -> Summary:
        """Run it once; store the last sync time if the run came to its end."""
        since = self.last_sync_time
        sync = Sync(
            main=PeopleQuery(
                sql=f"SELECT id, round, text, a, b, c FROM people WHERE updated_at >= to_timestamp({since})"
            )
        )
        summary = Summary(since)
        try:
            with self._workspace.client() as client:
                run_sync(sync, self._source, client, Rejections(), summary)
        finally:
            self.last_sync_time = summary.next_last_sync_time
        return summary
