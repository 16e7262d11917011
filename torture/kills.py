"""SIGKILL for task processes at random moments, for their supervisors, or for both.

A killed run fails. It does not move the last sync time, unless every row had arrived before. None of its
processes survives, the pool is free, and after the next run the workspace equals the source.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

from local.postgres import LocalPostgres
from local.processes import wait_until
from torture.deployment import deployed, only_task
from torture.scenario import expect
from torture.workspace import FaultyWorkspace

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from local.airflow import LocalAirflow
    from torture.scenario import Trial

_DAG = "customerio.production.people"
_VARIABLE = f"{_DAG}.last_sync_time"
_SPEC = """\
name: people
workspace: production
postgres_conn_id: warehouse
retries: 0
people:
  query: |
    SELECT id, round, text FROM people, pg_advisory_xact_lock_shared(1)
    WHERE updated_at >= to_timestamp({{ last_sync_time }})
"""
#: Slow enough that sending takes as long as the start of a process, so that kills hit both equally often.
_REQUESTS_PER_SECOND = 8
#: Runs that may end before they are killed, for each run that is killed.
_LATE_RUNS = 3
#: The process to kill: in most cases the task, else its supervisor, or both.
_VICTIMS = ("task", "task", "task", "task", "supervisor", "both")
_SHORTER, _LONGER = 0.8, 1.2
_RUN_SECONDS = 180
#: Seconds a task may take to end without its supervisor. Airflow gives up its run after 10 s.
_END_SECONDS = 8


def run(trial: Trial) -> str:
    """Kill until enough runs were killed.

    Returns:
        The figures.
    """
    chance = random.Random(trial.seed)
    rows, kills = trial.scale(10_000, 5_000), trial.scale(50, 4)
    with (
        LocalPostgres(trial.folder) as postgres,
        FaultyWorkspace() as workspace,
        postgres.connect() as connection,
    ):
        connection.execute(
            f"CREATE TABLE people AS SELECT 'k' || n AS id, 0 AS round, repeat(n::text || ' ', 150) AS text,"
            f" now() AS updated_at FROM generate_series(1, {rows}) n".encode()
        )
        customerio = workspace.airflow_connection()
        customerio["extra"] = {"max_requests_per_second": _REQUESTS_PER_SECOND}
        connections = {"warehouse": postgres.airflow_connection(), "customerio_production": customerio}
        with deployed(trial.folder, {_DAG: _SPEC}, connections) as airflow:
            longest = min(_run_to_its_end(airflow) for _ in range(2))  # the first run loads all modules
            victims: Counter[str] = Counter()
            arrivals: Counter[str] = Counter()
            late = 0
            while victims.total() < kills:
                expect(
                    late <= kills * _LATE_RUNS,
                    f"{late} runs ended before they were killed, and only {victims.total()} were killed",
                )
                _change(connection)
                before = airflow.client.variable(_VARIABLE)
                victim, delay = chance.choice(_VICTIMS), chance.uniform(0, longest)
                if not _kill(airflow, victim, lambda delay=delay: time.sleep(delay)):  # type: ignore[misc]
                    late += 1
                    longest *= _SHORTER  # a later run is faster than the first
                    continue
                victims[victim] += 1
                longest *= _LONGER
                arrivals[_check(airflow, connection, workspace, before)] += 1
            _kill_supervisor_of_a_waiting_run(airflow, postgres, workspace)
    return (
        f"{rows:,} rows, {victims.total()} runs killed: {_listed(victims)} ({late} had ended before);"
        f" arrived before the kill: {_listed(arrivals)}; each next run Completed; 0 rows differ;"
        " a run that waited for Postgres ended when its supervisor was killed"
    )


def _check(
    airflow: LocalAirflow, connection: psycopg.Connection[Any], workspace: FaultyWorkspace, before: str | None
) -> str:
    """Check the state after a killed run, and the next run. Returns what had arrived at the kill."""
    missing = _differences(connection, workspace)
    after = airflow.client.variable(_VARIABLE)
    expect(
        after == before or not missing,
        f"a killed run moved the last sync time from {before} to {after}, and {len(missing)} of its rows"
        f" had not arrived, for example {missing[:5]}",
    )
    pool = airflow.client.request("GET", "/pools/customerio.production")
    expect(pool["open_slots"] == 1, f"the pool is not free after a kill: {pool}")
    _run_to_its_end(airflow)
    differences = _differences(connection, workspace)
    expect(not differences, f"{len(differences)} rows differ from the source, for example {differences[:5]}")
    if after != before:
        return "all rows with the last sync time"
    (count,) = connection.execute("SELECT count(*) FROM people").fetchone() or (0,)
    return "no row" if len(missing) == count else "some rows" if missing else "all rows"


def _kill_supervisor_of_a_waiting_run(
    airflow: LocalAirflow, postgres: LocalPostgres, workspace: FaultyWorkspace
) -> None:
    """Kill the supervisor of a run that waits for Postgres. The run must end."""
    with postgres.connect() as connection:
        _change(connection)
        before = airflow.client.variable(_VARIABLE)
        connection.execute("SELECT pg_advisory_lock(1)")

        def until_it_waits() -> None:
            wait_until(
                lambda: connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone(),
                what="The wait for the lock",
                seconds=_RUN_SECONDS,
                check=airflow.check,
            )

        was_killed = _kill(airflow, "supervisor", until_it_waits)
        expect(was_killed, "a run Completed without its rows")
        connection.execute("SELECT pg_advisory_unlock(1)")
        _check(airflow, connection, workspace, before)


def _change(connection: psycopg.Connection[Any]) -> None:
    connection.execute("UPDATE people SET round = round + 1, updated_at = now()")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _run_to_its_end(airflow: LocalAirflow) -> float:
    """Run the sync, which must complete. Returns the duration of its task in seconds."""
    run_id = airflow.client.trigger(_DAG)
    state = airflow.client.wait_for_run(_DAG, run_id, seconds=_RUN_SECONDS)
    expect(state == "success", f"the run after a kill ended as {state}")
    return float(only_task(airflow, _DAG, run_id)["duration"])


def _kill(airflow: LocalAirflow, victim: str, wait: Callable[[], None]) -> bool:
    """Run the sync and kill one or both of its processes after a delay. Returns whether the run failed."""
    run_id = airflow.client.trigger(_DAG)
    id_ = only_task(airflow, _DAG, run_id)["id"]
    process = wait_until(
        lambda: _process_of(airflow, id_),
        what="The task's process",
        seconds=_RUN_SECONDS,
        check=airflow.check,
    )
    wait()
    with suppress(psutil.NoSuchProcess):
        supervisor = process.parent()
        if supervisor and victim != "task":
            supervisor.kill()
        if victim != "supervisor":
            process.kill()
    with suppress(psutil.TimeoutExpired):
        process.wait(_END_SECONDS)
    expect(not _is_alive(process), f"the task still runs after a kill ({victim})")
    return airflow.client.wait_for_run(_DAG, run_id, seconds=_RUN_SECONDS) == "failed"


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _process_of(airflow: LocalAirflow, id_: str) -> psutil.Process | None:
    for process in airflow.task_processes():
        with suppress(psutil.NoSuchProcess):
            if id_ in " ".join(process.cmdline()):
                return process
    return None


def _differences(connection: psycopg.Connection[Any], workspace: FaultyWorkspace) -> list[str]:
    """Return the ids of the rows that differ between workspace and source."""
    expected = connection.execute("SELECT id, round::text, text FROM people").fetchall()
    found = workspace.people(id_ for id_, _, _ in expected)
    return [
        id_
        for id_, *values in expected
        if id_ not in found or [found[id_]["round"], found[id_]["text"]] != values
    ]
