"""Postgres backends that are terminated at random moments of runs.

A run that loses its backend raises a transient error and does not move the last sync time. The next run
imports all rows. At the end the workspace equals the source.
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
from torture.workspace import FaultyWorkspace

if TYPE_CHECKING:
    from concurrent.futures import Future

    from torture.scenario import Trial

#: Runs that may end before their backend is terminated, for each run that loses its backend.
_LATE_RUNS = 5
_SHORTER, _LONGER = 0.8, 1.2
_NAME = "torture"
_TERMINATE = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{_NAME}'"


def run(trial: Trial) -> str:
    """Terminate backends until enough runs have lost theirs."""
    chance = random.Random(trial.seed)
    rows, kills = trial.scale(20_000, 5_000), trial.scale(40, 5)
    with (
        LocalPostgres(trial.folder) as postgres,
        FaultyWorkspace() as workspace,
        postgres.connect() as connection,
    ):
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
                late <= kills * _LATE_RUNS,
                f"{late} runs ended before their backend was terminated, and only {hit} lost it",
            )
            connection.execute("UPDATE people SET round = round + 1, updated_at = now()")
            before = victim.last_sync_time
            if not _hit(victim, connection, chance.uniform(0, longest)):
                late += 1
                longest *= _SHORTER  # a later run is faster than the first
                continue
            hit += 1
            longest *= _LONGER
            expect(victim.last_sync_time == before, "a run that lost its backend moved the last sync time")
            summary = victim.run()
            expect(summary.status is Status.COMPLETED, f"the next run ended as {summary.status}")
            expect(summary.rows_imported == rows, f"the next run imported {summary.rows_imported:,} rows")
        expected = connection.execute("SELECT id, round::text, text FROM people").fetchall()
        found = workspace.people(id_ for id_, _, _ in expected)
        wrong = [id_ for id_, *values in expected if [found[id_]["round"], found[id_]["text"]] != values]
        expect(not wrong, f"{len(wrong)} rows differ from the source, for example {wrong[:5]}")
    return (
        f"{rows:,} rows, {hit} runs lost their backend ({late} had read all rows before);"
        " each raised a transient error, and each next run Completed; 0 rows differ"
    )


def _hit(victim: _Victim, connection: psycopg.Connection[Any], delay: float) -> bool:
    """Run the sync and terminate its backend after a delay. Returns whether the run lost its backend."""
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
                f"a run that lost its backend raised {error!r}, which is not transient"
            ) from error
    return False


class _Victim:
    """A sync with its last sync time."""

    def __init__(self, postgres: LocalPostgres, workspace: FaultyWorkspace) -> None:
        self._source = PostgresSource(lambda: psycopg.connect(postgres.uri, application_name=_NAME))
        self._workspace = workspace
        self.last_sync_time = 0

    def run(self) -> Summary:
        """Run the sync once, and store the next last sync time."""
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
