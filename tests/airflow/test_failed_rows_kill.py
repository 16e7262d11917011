"""A run of `failed_rows: retry` that is killed at any moment loses no row and skips none."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.test_failed_rows import BAD, TABLE, retrying
from tests.integration.conftest import LocalWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.emulator.process import EmulatorProcess
    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

#: Runs the DAG in a fork for each line of its input, and kills the fork at that number of calls and returns
#: of the functions that remember what a run did.
PROGRAM = """
import functools, inspect, itertools, os, signal, sys
from airflow.dag_processing.dagbag import DagBag
from airflow import settings
from airflow_provider_cio import storage
from airflow_provider_cio.engine import retry
from airflow_provider_cio.operators import sync
from airflow_provider_cio.state import failed_rows, last_sync_time

dag = DagBag(dag_folder=sys.argv[1]).dags[sys.argv[2]]
events, kill_at = itertools.count(1), 0

def count():
    if next(events) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

def counted(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        count()
        result = function(*args, **kwargs)
        count()
        return result
    return call

for module in (storage, retry, failed_rows, last_sync_time, sync):
    local = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
    for holder in [module, *filter(inspect.isclass, local)]:
        for name, function in list(vars(holder).items()):
            if inspect.isfunction(function) and function.__module__ == module.__name__ and name != "__init__":
                setattr(holder, name, counted(function))
print("ready", flush=True)
for line in sys.stdin:
    kill_at, (reader, writer) = int(line), os.pipe()
    if (child := os.fork()) == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        settings.engine.dispose(close=False)
        dag.test()
        os.write(writer, str(next(events)).encode())
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    done = os.read(reader, 100).decode()
    os.close(reader)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, done or 0, flush=True)
"""


class KilledRuns:
    """Runs of a DAG in processes of their own, each of which can be killed at a chosen moment."""

    def __init__(self, dags: Path, dag_id: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(dags), dag_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        while self._line() != "ready":
            pass

    def run(self, kill_at: int = 0) -> int:
        """Run the DAG. Returns the number of calls and returns, or 0 if it was killed."""
        assert self._process.stdin
        self._process.stdin.write(f"{kill_at}\n")
        self._process.stdin.flush()
        killed_by, events = map(int, self._line().split())
        assert killed_by in (0, signal.SIGKILL)
        return events

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(30)

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        return line.strip()


@pytest.fixture
def killed_runs(connected: Airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KilledRuns]:
    """Return a process that runs a sync with failed_rows: retry."""
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__STATE_URL", f"file://{tmp_path}")
    connected.write("syncs/killed.yaml", retrying("killed"))
    runs = KilledRuns(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]), "customerio.production.killed")
    yield runs
    runs.close()


def test_a_kill_at_any_moment_loses_no_row(
    killed_runs: KilledRuns, database: Database, emulator: EmulatorProcess
) -> None:
    """After each kill, the next run imports every valid row and remembers every other one."""
    chance = random.Random(4)  # noqa: S311 - not for secrets
    ids = [f"kill{n}" for n in range(20)]
    database.execute(TABLE)
    for id_ in ids:
        value = BAD if chance.random() < 0.3 else "good"
        database.connection.execute("INSERT INTO people VALUES (%s, %s)", [id_, value])
    events = killed_runs.run()
    assert events > 30
    workspace = LocalWorkspace(emulator)
    # Near the end, a run stores its failed rows and the last sync time.
    moments = [chance.randrange(1, events), *chance.sample(range(events * 3 // 4, events), 3)]
    for turn, moment in enumerate(moments):
        rows: dict[str, Any] = dict(database.connection.execute("SELECT id, v FROM people").fetchall())
        for id_ in chance.sample(ids, 6):
            if rows[id_] == BAD:  # corrected, without a new time: only a retry can find it
                statement, value = "UPDATE people SET v = %s WHERE id = %s", f"healed {turn}"
            else:
                statement = "UPDATE people SET v = %s, updated_at = now() WHERE id = %s"
                value = chance.choice([BAD, f"changed {turn}"])
            database.connection.execute(statement.encode(), [value, id_])
        killed_runs.run(moment)
        killed_runs.run()
        rows = dict(database.connection.execute("SELECT id, v FROM people").fetchall())
        valid = {id_: value for id_, value in rows.items() if value != BAD}
        found = workspace.attributes(sorted(valid))
        assert {id_: person["v"] for id_, person in found.items()} == valid, f"killed at {moment}"
        # A row that failed in this turn must not be found by its time in the next one.
        database.execute("UPDATE people SET updated_at = now() - interval '1h'")
