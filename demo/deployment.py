"""The servers of the demo: Postgres, two workspaces and Airflow."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from demo.output import show_line, step
from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from local.processes import LocalError, deferred_signals
from local.sample_database import COMPANIES, KNOWN_EMAIL, MEMBERSHIPS, PEOPLE, SIGNUPS, create_sample_database
from local.workspace import EmulatedWorkspace

if TYPE_CHECKING:
    from contextlib import ExitStack

PEOPLE_DAG = "customerio.production.active_people"
COMPANIES_DAG = "customerio.production.companies"
SIGNUPS_DAG = "customerio.newsletter.signups"

_DAGS_FOLDER = Path(__file__).parent.parent / "dags"
_KNOWN_PERSON = "web-1"


@dataclass(frozen=True)
class Deployment:
    """The running servers."""

    postgres: LocalPostgres
    production: EmulatedWorkspace
    newsletter: EmulatedWorkspace
    airflow: LocalAirflow


def set_up(folder: Path, running: ExitStack) -> Deployment:
    """Start the servers and wait until they are ready.

    Args:
        folder: Folder for logs and Airflow's files.
        running: Receives the servers, and stops them when it is closed.

    Raises:
        LocalError: A server did not start. The message has the end of its log.
    """
    with step(
        f"Start Postgres with a sample database: {PEOPLE:,} people, {COMPANIES:,} companies,"
        f" {MEMBERSHIPS:,} memberships, {SIGNUPS:,} sign-ups"
    ):
        postgres = running.enter_context(LocalPostgres(folder))
        with postgres.connect() as connection:
            create_sample_database(connection)
    with step("Start two emulated Customer.io workspaces: production and newsletter"):
        production = _start_workspace(running)
        newsletter = _start_workspace(running)
        newsletter.identify(_KNOWN_PERSON, email=KNOWN_EMAIL)
    show_line(f"newsletter already has one person: {_KNOWN_PERSON}, with the address {KNOWN_EMAIL}")
    with step(f"Start Airflow {version('apache-airflow-core')}: api-server, scheduler and dag-processor"):
        airflow = running.enter_context(_airflow(folder, postgres, production, newsletter))
    with step("Wait for the DAG of each spec in dags/syncs, and for the pool of each workspace"):
        for dag in (PEOPLE_DAG, COMPANIES_DAG, SIGNUPS_DAG):
            airflow.client.wait_for_dag(dag)
            airflow.client.unpause(dag)
        for pool in ("customerio.production", "customerio.newsletter"):
            airflow.client.wait_for_pool(pool)
    return Deployment(postgres, production, newsletter, airflow)


def show_addresses(deployment: Deployment) -> None:
    """Show the addresses of the servers."""
    airflow = deployment.airflow
    show_line("to look at while the demo runs:")
    show_line(
        f"Syncs       {airflow.url}/plugin/customerio (user {airflow.username}, password {airflow.password})"
    )
    for dag in (PEOPLE_DAG, COMPANIES_DAG, SIGNUPS_DAG):
        show_line(f"            {airflow.url}/dags/{dag}/plugin/customerio-imports")
    show_line(f"Airflow     {airflow.url}/dags")
    show_line(f"production  {deployment.production.url}")
    show_line(f"newsletter  {deployment.newsletter.url}")
    show_line(f"Postgres    {deployment.postgres.uri}")


def _start_workspace(running: ExitStack) -> EmulatedWorkspace:
    try:
        with deferred_signals():  # until `running` can stop it
            return running.enter_context(EmulatedWorkspace())
    except RuntimeError as error:
        raise LocalError(f"The emulated workspace did not start: {error}") from error


def _airflow(
    folder: Path, postgres: LocalPostgres, production: EmulatedWorkspace, newsletter: EmulatedWorkspace
) -> LocalAirflow:
    return LocalAirflow(
        folder / "airflow",
        dags_folder=_DAGS_FOLDER,
        connections={
            "warehouse": postgres.airflow_connection(),
            "customerio_production": production.airflow_connection(),
            "customerio_newsletter": newsletter.airflow_connection(),
        },
        environment={
            # A scheduled run between the runs of the demo would import the changed rows.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            # A run that cannot succeed fails soon, and the demo shows the reason.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            # The emulator applies accepted changes before it responds.
            "AIRFLOW__CUSTOMERIO__APPLY_WAIT": "0",
        },
    )
