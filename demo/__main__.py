"""`make demo`: a database, a workspace and an Airflow on this machine, and two runs of a sync."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import requests

from airflow_provider_cio.emulator.process import EmulatorProcess
from demo.local_airflow import LocalAirflow
from demo.local_postgres import LocalPostgres
from demo.output import failure, say, step, title
from demo.processes import STOP_SIGNALS, LocalError, signals_held_back
from demo.sample_database import PEOPLE, create_sample_database, first_person, log_in

if TYPE_CHECKING:
    from types import FrameType

_PROJECT = Path(__file__).parent.parent
_DAG = "customerio.production.active_people"
_POOL = "customerio.production"
_CHANGED = 50


class Stopped(BaseException):
    """Somebody wants the demo to end."""


@dataclass(frozen=True)
class Deployment:
    """What runs during the demo."""

    postgres: LocalPostgres
    workspace: EmulatorProcess
    airflow: LocalAirflow


def main() -> int:
    """Run the demo.

    Returns:
        The exit status: 0 if both runs have completed.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    folder = _new_folder()
    try:
        _demo(folder)
    except LocalError as error:
        failure(f"{error}\n\nThe logs of this demo are kept in {folder} (make clean removes them).")
        return 1
    except Stopped as stopped:
        status = 128 + int(stopped.args[0])
    else:
        status = 0
    shutil.rmtree(folder, ignore_errors=True)
    return status


def _demo(folder: Path) -> None:
    title("A sync from Postgres to Customer.io, all of it on this machine")
    with ExitStack() as running:
        try:
            deployment = _set_up(folder, running)
            _show_where_to_look(deployment)
            _first_run(deployment)
            _second_run(deployment)
            if sys.stdin.isatty():
                _stay_up(deployment)
        finally:
            _ignore_stop_signals()  # stopping takes seconds; cut short, it would leave processes behind
            title("Stopping everything")


def _set_up(folder: Path, running: ExitStack) -> Deployment:
    with step(f"A Postgres with a sample database: {PEOPLE:,} people, their companies and memberships"):
        postgres = running.enter_context(LocalPostgres(folder))
        with postgres.connect() as connection:
            create_sample_database(connection)
    with step("A Customer.io workspace (the emulator)"):
        workspace = _start_emulator(running)
    with step(f"Airflow {version('apache-airflow-core')}: api-server, scheduler and dag-processor"):
        airflow = running.enter_context(_airflow(folder, postgres, workspace))
    with step(f"The DAG {_DAG}, made of dags/syncs/active_people.yaml, and its pool"):
        airflow.client.wait_for_dag(_DAG)
        airflow.client.wait_for_pool(_POOL)
    return Deployment(postgres, workspace, airflow)


def _start_emulator(running: ExitStack) -> EmulatorProcess:
    try:
        with signals_held_back():  # until it can be stopped
            return running.enter_context(EmulatorProcess())
    except RuntimeError as error:
        raise LocalError(f"The workspace did not start: {error}") from error


def _airflow(folder: Path, postgres: LocalPostgres, workspace: EmulatorProcess) -> LocalAirflow:
    return LocalAirflow(
        folder / "airflow",
        dags_folder=_PROJECT / "dags",
        connections={
            "warehouse": postgres.airflow_connection(),
            "customerio_production": {
                "conn_type": "customerio",
                "host": workspace.url,
                "login": workspace.site_id,
                "password": workspace.api_key,
                "extra": {"app_api_key": workspace.app_api_key, "app_host": workspace.url},
            },
        },
        # The demo starts its two runs itself; a scheduled one between them would import the changed rows.
        environment={"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"},
    )


def _first_run(deployment: Deployment) -> None:
    deployment.airflow.client.unpause(_DAG)
    with step("The first run imports everybody"):
        summary = _run(deployment.airflow, expected_rows=PEOPLE)
    _show(summary)
    _show_first_person(deployment)


def _second_run(deployment: Deployment) -> None:
    with (
        step(f"{_CHANGED} people log in: their rows in Postgres change"),
        deployment.postgres.connect() as connection,
    ):
        log_in(connection, _CHANGED)
    with step("The second run imports who has changed since the first"):
        summary = _run(deployment.airflow, expected_rows=_CHANGED)
    _show(summary)
    _show_first_person(deployment)


def _run(airflow: LocalAirflow, *, expected_rows: int) -> dict[str, Any]:
    """One run of the sync.

    Returns:
        Its summary.

    Raises:
        LocalError: It has not Completed, or not with this many rows; with the end of the task's log.
    """
    run_id = airflow.client.trigger(_DAG)
    airflow.client.wait_for_run(_DAG, run_id)
    summary: dict[str, Any] | None = airflow.client.xcom(_DAG, run_id, "sync", "summary")
    if (
        summary
        and summary["status"] == "Completed"
        and summary["queries"]["people"]["imported"] == expected_rows
    ):
        return summary
    log = airflow.client.task_log_tail(_DAG, run_id, "sync")
    raise LocalError(
        f"The run should have Completed with {expected_rows:,} rows; its summary is {summary}.\n"
        f"The end of its task's log:\n{log}"
    )


def _show(summary: dict[str, Any]) -> None:
    rows, duration = summary["queries"]["people"], summary["duration"]
    say(
        f"{summary['status']}: {rows['read']:,} rows read, "
        f"{rows['imported']:,} imported, {rows['failed']:,} failed"
    )
    requests_made = f"{summary['requests']} request{'' if summary['requests'] == 1 else 's'}"
    say(f"{duration:.2f} s, {requests_made}, {rows['read'] / duration:,.0f} rows/s")
    say(f"last sync time: {summary['last_sync_time']}, for the next run {summary['next_last_sync_time']}")


def _show_first_person(deployment: Deployment) -> None:
    """Show that the workspace knows what the database knows.

    Raises:
        LocalError: It knows something else.
    """
    with deployment.postgres.connect() as connection:
        person, logins = first_person(connection)
    known = _attributes(deployment.workspace, person).get("logins")
    if str(known) != str(logins):
        raise LocalError(f"Person {person} has {logins} logins in Postgres, but the workspace says: {known}")
    say(f"person {person} in the workspace: {logins} logins, as in Postgres")


def _attributes(workspace: EmulatorProcess, person: int) -> dict[str, Any]:
    """What the workspace's App API tells about a person; empty if it does not know them."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy of the surroundings leads to this machine
        response = session.get(
            f"{workspace.url}/v1/customers/{person}/attributes",
            params={"id_type": "id"},
            headers=workspace.app_headers,
            timeout=30,
        )
    return dict(response.json()["customer"]["attributes"]) if response.ok else {}


def _show_where_to_look(deployment: Deployment) -> None:
    airflow = deployment.airflow
    say(f"Airflow    {airflow.url}/dags/{_DAG} (user {airflow.username}, password {airflow.password})")
    say(f"Workspace  {deployment.workspace.url}")
    say(f"Postgres   {deployment.postgres.uri}")


def _stay_up(deployment: Deployment) -> None:
    """Show where to look, and wait for Ctrl-C.

    Raises:
        LocalError: A component of Airflow has ended; with the end of its log.
    """
    title("Everything stays up until you press Ctrl-C")
    _show_where_to_look(deployment)
    say("Change rows (with updated_at = now()) and trigger the DAG: its schedule is off in this demo.")
    try:
        while True:
            deployment.airflow.check()
            time.sleep(1)
    except Stopped:
        return


def _new_folder() -> Path:
    parent = _PROJECT / ".demo"
    parent.mkdir(exist_ok=True)
    return Path(
        tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), suffix=f"-{os.getpid()}", dir=parent)
    )


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    _ignore_stop_signals()
    raise Stopped(number)


def _ignore_stop_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
