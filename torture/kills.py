"""SIGKILL at random moments of real task processes.

A killed run fails and leaves the last sync time where it was, unless every row had arrived before. The pool
is free afterwards, and the next run brings the workspace to equality with the source.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from demo.local_postgres import LocalPostgres
from demo.processes import wait_until
from torture.deployment import deployed, only_task
from torture.scenario import expect
from torture.workspace import Workspace

if TYPE_CHECKING:
    import psycopg

    from demo.local_airflow import LocalAirflow
    from torture.scenario import Trial

_DAG = "customerio.production.people"
_SPEC = """\
name: people
workspace: production
postgres_conn_id: warehouse
retries: 0
people:
  query: SELECT id, round, text FROM people WHERE updated_at >= to_timestamp({{ last_sync_time }})
"""
#: Runs that may end before they are killed, for each one that is killed.
_LATE_RUNS = 3
#: In so many cases the process that watches over the task is killed with it.
_WATCHERS = 0.3
_SHORTER, _LONGER = 0.8, 1.2
_RUN_SECONDS = 180


def run(trial: Trial) -> str:
    """Kill until so many runs were hit."""
    chance = random.Random(trial.seed)
    rows, kills = trial.scale(20_000, 5_000), trial.scale(50, 3)
    with LocalPostgres(trial.folder) as postgres, Workspace() as workspace, postgres.connect() as connection:
        connection.execute(
            f"CREATE TABLE people AS SELECT 'k' || n AS id, 0 AS round, repeat(n::text || ' ', 150) AS text,"
            f" now() AS updated_at FROM generate_series(1, {rows}) n".encode()
        )
        connections = {
            "warehouse": postgres.airflow_connection(),
            "customerio_production": workspace.airflow_connection(),
        }
        with deployed(trial.folder, {_DAG: _SPEC}, connections) as airflow:
            longest = _run_to_its_end(airflow)
            hit = late = moved = watchers = 0
            while hit < kills:
                expect(
                    late <= kills * _LATE_RUNS, f"{late} runs ended before they were killed, {hit} did not"
                )
                connection.execute("UPDATE people SET round = round + 1, updated_at = now()")
                before = airflow.client.variable(f"{_DAG}.last_sync_time")
                with_watcher = chance.random() < _WATCHERS
                if not _kill(airflow, chance.uniform(0, longest), with_watcher=with_watcher):
                    late += 1
                    longest *= _SHORTER  # a later run is faster than the first
                    continue
                hit += 1
                longest *= _LONGER
                watchers += with_watcher
                after = airflow.client.variable(f"{_DAG}.last_sync_time")
                if after != before:  # killed after its last row, before Airflow knew that it had succeeded
                    moved += 1
                    _compare(connection, workspace)
                pool = airflow.client.request("GET", "/pools/customerio.production")
                expect(pool["open_slots"] == 1, f"after a kill the pool is not free: {pool}")
                _run_to_its_end(airflow)
                _compare(connection, workspace)
    return (
        f"{rows:,} rows, {hit} runs killed, {watchers} of them with the process that watches over the task"
        f" ({late} had ended before); {moved} had stored the last sync time, with every row in the workspace;"
        " each next run Completed; 0 rows differ"
    )


def _run_to_its_end(airflow: LocalAirflow) -> float:
    """Run the sync, which has to complete, and give the seconds that its task took."""
    run_id = airflow.client.trigger(_DAG)
    state = airflow.client.wait_for_run(_DAG, run_id, seconds=_RUN_SECONDS)
    expect(state == "success", f"the run after a kill ended as {state}")
    return float(only_task(airflow, _DAG, run_id)["duration"])


def _kill(airflow: LocalAirflow, delay: float, *, with_watcher: bool) -> bool:
    """Run the sync, kill its process after a while, and say whether the run was hit."""
    run_id = airflow.client.trigger(_DAG)
    processes = wait_until(
        airflow.task_processes, what="The task's process", seconds=_RUN_SECONDS, check=airflow.check
    )
    time.sleep(delay)
    victims: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            # The first executes the task's code, and its parent watches over it.
            victims += [*process.parents()[:1], process] if with_watcher else [process]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    return airflow.client.wait_for_run(_DAG, run_id, seconds=_RUN_SECONDS) == "failed"


def _compare(connection: psycopg.Connection, workspace: Workspace) -> None:
    expected = connection.execute("SELECT id, round::text, text FROM people").fetchall()
    found = workspace.people(id_ for id_, _, _ in expected)
    wrong = [id_ for id_, *values in expected if [found[id_]["round"], found[id_]["text"]] != values]
    expect(not wrong, f"{len(wrong)} rows differ from the source, such as {wrong[:5]}")
