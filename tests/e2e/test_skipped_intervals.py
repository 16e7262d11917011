"""One sync at a time in a workspace, with a real scheduler and syncs that take longer than their interval."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.emulator.process import EmulatorProcess
from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from local.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

FACTORY = """\
from pathlib import Path
from airflow_provider_cio.dag_factory import build_dags
globals().update(build_dags(Path(__file__).parent / "syncs"))
"""
#: A notifier in the DAGs folder.
NOTIFIER = """\
from pathlib import Path
from airflow.sdk import BaseNotifier

class FileNotifier(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, path, text):
        super().__init__()
        self.path, self.text = path, text

    def notify(self, context):
        with Path(self.path).open("a") as file:
            file.write(self.text + "\\n")
"""
#: Runs as long as the test holds the lock, so that the next interval comes in the meantime on any machine.
SLOW = "SELECT '{name}' AS id FROM pg_advisory_xact_lock_shared(1)"
STUCK = "SELECT '{name}' AS id FROM pg_advisory_xact_lock_shared(2)"
QUICK = "SELECT '{name}' AS id"
#: Workspace and name of each sync to its query.
SYNCS = {
    ("busy", "slow"): SLOW,
    ("busy", "quick"): QUICK,
    ("killed", "victim"): STUCK,
    ("killed", "heir"): QUICK,
    ("calm", "other"): QUICK,
}
#: Several times the seconds that a busy machine needs from a tick to the end of its run.
SECONDS = 480


@dataclass(frozen=True)
class Run:
    """A run with the state of its task."""

    dag_id: str
    run_id: str
    run_type: str
    due: dt.datetime
    state: str
    start: str
    end: str


class Scheduled:
    """An Airflow that runs five syncs of three workspaces every minute."""

    def __init__(
        self, airflow: LocalAirflow, connection: psycopg.Connection[Any], notifications: Path
    ) -> None:
        self.airflow = airflow
        self.connection = connection
        self.notifications = notifications

    def runs(self, sync: str) -> list[Run]:
        """Return the runs of a sync, oldest first."""
        dag_id = f"customerio.{sync}"
        found = []
        for run in self.airflow.client.runs(dag_id):
            (task,) = self.airflow.client.task_instances(dag_id, run["dag_run_id"])
            found.append(
                Run(
                    dag_id,
                    run["dag_run_id"],
                    run["run_type"],
                    dt.datetime.fromisoformat(run["run_after"]),
                    str(task["state"]),
                    str(task["start_date"])[11:19],
                    str(task["end_date"])[11:19],
                )
            )
        return found

    def wait_for(self, sync: str, state: str, *, after: dt.datetime | None = None) -> Run:
        """Wait for a scheduled run of a sync that is in a state, and due after a time if one is given.

        The test cannot rely on a certain tick: a late scheduler creates a run for the latest tick only.
        """

        def found() -> Run | None:
            runs = [run for run in self.runs(sync) if run.run_type == "scheduled" and run.state == state]
            return next((run for run in runs if after is None or run.due > after), None)

        what = f"A {state} run of {sync}, due after {after or 'any time'}"
        return wait_until(found, what=what, seconds=SECONDS, check=self.airflow.check)

    def wait_for_end(self, run: Run) -> str:
        """Wait for the end of a run's task, and return the state of the task."""

        def ended() -> str | None:
            (task,) = self.airflow.client.task_instances(run.dag_id, run.run_id)
            state = str(task["state"])
            return state if state in {"success", "failed", "skipped"} else None

        return wait_until(ended, what=f"The end of {run.run_id}", seconds=SECONDS, check=self.airflow.check)

    def process_of(self, run: Run) -> Any:
        """Return the process of a run's task."""
        (task,) = self.airflow.client.task_instances(run.dag_id, run.run_id)
        return next(
            process for process in self.airflow.task_processes() if task["id"] in " ".join(process.cmdline())
        )

    def table(self) -> str:
        """Return a table of all runs."""
        runs = [run for workspace, name in SYNCS for run in self.runs(f"{workspace}.{name}")]
        lines = [
            f"{run.dag_id:<26}{run.run_type:<11}{run.due:%H:%M:%S}  {run.state:<9}{run.start}  {run.end}"
            for run in sorted(runs, key=lambda run: (run.due, run.dag_id))
        ]
        return "\n".join(["", *lines])


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduled]:
    """Start that Airflow, with all syncs un-paused."""
    folder = tmp_path_factory.mktemp("scheduled")
    syncs = folder / "dags" / "syncs"
    syncs.mkdir(parents=True)
    (folder / "dags" / "customerio_syncs.py").write_text(FACTORY)
    (folder / "dags" / "own_notifiers.py").write_text(NOTIFIER)
    notifications = folder / "notifications"
    notifications.touch()
    for (workspace, name), query in SYNCS.items():
        (syncs / f"{workspace}_{name}.yaml").write_text(
            f"name: {name}\nworkspace: {workspace}\npostgres_conn_id: warehouse\nschedule: '* * * * *'\n"
            f"retries: 0\npeople:\n  query: {query.format(name=name)}\n"
            "on_skipped:\n- notifier: own_notifiers.FileNotifier\n"
            f"  arguments: {{path: {notifications}, text: '{{{{ dag.dag_id }}}} {{{{ summary.status }}}}'}}\n"
        )
    with LocalPostgres(folder) as postgres, EmulatorProcess() as emulator:
        customerio = {
            "conn_type": "customerio",
            "login": emulator.site_id,
            "password": emulator.api_key,
            "host": emulator.url,
        }
        connections = {"warehouse": postgres.airflow_connection()} | {
            f"customerio_{workspace}": customerio for workspace, _ in SYNCS
        }
        environment = {"AIRFLOW__CORE__PARALLELISM": "6"}
        with LocalAirflow(
            folder / "airflow", dags_folder=folder / "dags", connections=connections, environment=environment
        ) as airflow:
            dag_ids = [f"customerio.{workspace}.{name}" for workspace, name in SYNCS]
            for dag_id in dag_ids:
                airflow.client.wait_for_dag(dag_id)
            for workspace in {workspace for workspace, _ in SYNCS}:
                airflow.client.wait_for_pool(f"customerio.{workspace}")
            with postgres.connect() as connection:
                connection.execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
                for dag_id in dag_ids:
                    airflow.client.unpause(dag_id)
                scheduled = Scheduled(airflow, connection, notifications)
                yield scheduled
            print(scheduled.table())  # noqa: T201 - shown by pytest -s


def test_an_overrun_skips_intervals_of_its_workspace_and_nothing_else(scheduled: Scheduled) -> None:
    """All phases are in one test, because each takes a real minute.

    In the workspace `busy`, the slow sync runs at its own next interval and at the next interval of the quick
    sync: both are Skipped, and their logs have the reason. A manual run waits and then runs. In `killed`, the
    stuck sync is killed after its next interval: no run is skipped, and the workspace continues. `calm` is
    not affected.
    """
    client = scheduled.airflow.client
    slow = scheduled.wait_for("busy.slow", "running")
    manual = client.trigger("customerio.busy.quick")
    victim = scheduled.wait_for("killed.victim", "running")
    both_running = dt.datetime.now(dt.UTC)  # on a busy machine, long after they were due

    # Another tick has passed for all syncs, because the free workspace has run once more.
    scheduled.wait_for("calm.other", "success", after=both_running)
    client.pause(victim.dag_id)
    scheduled.process_of(victim).kill()
    scheduled.connection.execute("SELECT pg_advisory_unlock(2)")  # for a run that was already created
    (task,) = client.task_instances(slow.dag_id, slow.run_id)
    assert task["state"] == "running", scheduled.table()
    scheduled.connection.execute("SELECT pg_advisory_unlock(1)")
    assert scheduled.wait_for_end(slow) == "success"

    # The slow sync was running at that tick.
    for sync in ("slow", "quick"):
        skipped = scheduled.wait_for(f"busy.{sync}", "skipped", after=slow.due)
        reason = f"at {skipped.due:%H:%M:%S} slow was importing into the workspace"
        assert reason in client.task_log(skipped.dag_id, skipped.run_id, "sync")
        summary = client.xcom(skipped.dag_id, skipped.run_id, "sync", "summary")
        assert (summary["status"], summary["requests"]) == ("Skipped", 0)
        assert summary["next_last_sync_time"] == summary["last_sync_time"]
        assert client.wait_for_run(skipped.dag_id, skipped.run_id, seconds=SECONDS) == "success"

    # Runs that were due together with the slow run queued behind it.
    together = [run for run in scheduled.runs("busy.quick") if run.due == slow.due]
    assert {scheduled.wait_for_end(run) for run in together} <= {"success"}

    # Notifiers run for each skipped run.
    expected = {"customerio.busy.quick Skipped", "customerio.busy.slow Skipped"}
    wait_until(
        lambda: expected <= set(scheduled.notifications.read_text().splitlines()),
        what="The notifiers",
        seconds=SECONDS,
    )

    # A manual run is never skipped.
    assert client.wait_for_run("customerio.busy.quick", manual, seconds=SECONDS) == "success"
    (manual_run,) = [run for run in scheduled.runs("busy.quick") if run.run_id == manual]
    assert manual_run.state == "success"

    # A killed run does not block later runs.
    assert scheduled.wait_for_end(victim) == "failed"
    scheduled.wait_for("killed.heir", "success", after=victim.due)
    for sync in ("killed.victim", "killed.heir", "calm.other"):
        assert "skipped" not in {run.state for run in scheduled.runs(sync)}, scheduled.table()
    assert not [line for line in scheduled.notifications.read_text().splitlines() if ".busy." not in line]
