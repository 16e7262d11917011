"""Many syncs of several workspaces, all due at the same minute, on a real scheduler with few slots.

Each sync runs once, completes, and its rows arrive. No two runs of a workspace overlap.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_cio.emulator.process import EmulatorProcess
from local.postgres import LocalPostgres
from local.processes import wait_until
from torture.deployment import deployed
from torture.scenario import expect

if TYPE_CHECKING:
    from local.airflow import LocalAirflow
    from torture.scenario import Trial

_SPEC = """\
name: {sync}
workspace: {workspace}
postgres_conn_id: warehouse
schedule: "{minute} {hour} * * *"
people:
  query: SELECT '{workspace}-{sync}-' || n AS id FROM generate_series(1, {rows}) n
"""
#: Minutes until the syncs are due, in the long and the short form: more than Airflow needs to start and read
#: the DAGs.
_MINUTES = (3, 2)
#: Seconds for one sync on a busy machine.
_SECONDS_EACH = 10
_PAGE = 100


def run(trial: Trial) -> str:
    """Wait until all syncs have run, and check their runs."""
    workspaces, syncs = trial.scale((20, 10), (2, 3))
    rows = 50 + trial.seed % 50
    due = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=trial.scale(*_MINUTES))).replace(
        second=0, microsecond=0
    )
    names = [(f"w{w}", f"s{s}") for w, s in itertools.product(range(workspaces), range(syncs))]
    specs = {
        f"customerio.{workspace}.{sync}": _SPEC.format(
            workspace=workspace, sync_name=sync, rows=rows, minute=due.minute, hour=due.hour
        )
        for workspace, sync in names
    }
    with LocalPostgres(trial.folder) as postgres, EmulatorProcess(count_only=True) as emulator:
        customerio: dict[str, object] = {
            "conn_type": "customerio",
            "host": emulator.url,
            "login": emulator.site_id,
            "password": emulator.api_key,
        }
        connections = {
            "warehouse": postgres.airflow_connection(),
            **{f"customerio_{workspace}": customerio for workspace, _ in names},
        }
        with deployed(trial.folder, specs, connections) as airflow:
            expect(dt.datetime.now(dt.UTC) < due, "the syncs were due before Airflow had read all of them")
            tasks = wait_until(
                lambda: _all_ended(airflow, len(names)),
                what="The end of all syncs",
                seconds=(due - dt.datetime.now(dt.UTC)).total_seconds() + 60 + _SECONDS_EACH * len(names),
                check=airflow.check,
            )
        arrived = requests.get(f"{emulator.url}/_emulator/stats", timeout=30).json()["operations"]
    expect(
        arrived == rows * len(names),
        f"{arrived} rows arrived instead of {rows} of each of {len(names)} syncs",
    )
    return f"{_check(tasks, names)}; {arrived:,} rows arrived, each once"


def _check(tasks: list[dict[str, Any]], names: list[tuple[str, str]]) -> str:
    ran = sorted(task["dag_id"] for task in tasks)
    wanted = sorted(f"customerio.{workspace}.{sync}" for workspace, sync in names)
    expect(
        ran == wanted,
        f"there were {len(ran)} runs of {len({*ran})} syncs instead of one of each of {len(wanted)}",
    )
    wrong = [(task["dag_id"], task["state"]) for task in tasks if task["state"] != "success"]
    expect(not wrong, f"{len(wrong)} runs did not complete, for example {wrong[:5]}")
    by_workspace: dict[str, list[tuple[dt.datetime, dt.datetime]]] = {}
    for task in tasks:
        start, end = (dt.datetime.fromisoformat(task[name]) for name in ("start_date", "end_date"))
        by_workspace.setdefault(task["dag_id"].split(".")[1], []).append((start, end))
    for workspace, times in by_workspace.items():
        overlaps = [pair for pair in itertools.pairwise(sorted(times)) if pair[1][0] < pair[0][1]]
        expect(not overlaps, f"runs of {workspace} overlap: {overlaps}")
    everything = list(itertools.chain.from_iterable(by_workspace.values()))
    changes = sorted(change for start, end in everything for change in ((start, 1), (end, -1)))
    most = max(itertools.accumulate(change for _, change in changes))
    seconds = (max(end for _, end in everything) - min(start for start, _ in everything)).total_seconds()
    return (
        f"{len(tasks)} syncs in {len(by_workspace)} workspaces, due at the same minute, all Completed"
        f" in {seconds:.0f} s; at most {most} at the same time, never two of a workspace"
    )


def _all_ended(airflow: LocalAirflow, count: int) -> list[dict[str, Any]]:
    """Return the task instances of all runs when all have ended; an empty list before."""
    tasks: list[dict[str, Any]] = []
    while True:
        page = airflow.client.request(
            "GET", "/dags/~/dagRuns/~/taskInstances", limit=str(_PAGE), offset=str(len(tasks))
        )["task_instances"]
        tasks += page
        if len(page) < _PAGE:
            break
    return tasks if len(tasks) >= count and all(task["end_date"] for task in tasks) else []
