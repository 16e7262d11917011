"""Syncs in a whole deployment: Airflow's own processes, Postgres, and workspaces over HTTP."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from local.processes import wait_until
from local.sample_database import (
    KNOWN_EMAIL,
    MISTAKES,
    PEOPLE,
    SIGNUPS,
    correct_signups,
    create_sample_database,
    log_in,
)
from local.workspace import EmulatedWorkspace
from tests.integration.conftest import LocalWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

PEOPLE_DAG = "customerio.production.active_people"
COMPANIES_DAG = "customerio.production.companies"
SIGNUPS_DAG = "customerio.newsletter.signups"
MANY_DAG = "customerio.production.many"
MANY = 40_000
MANY_SPEC = """\
name: many
workspace: production
postgres_conn_id: warehouse
people:
  query: SELECT id, filler FROM many WHERE extract(epoch FROM updated_at) > {{ last_sync_time }}
"""
SLOW_DAG = "customerio.production.slow"
SLOW_SPEC = """\
name: slow
workspace: production
postgres_conn_id: warehouse
people:
  query: SELECT 'x' AS id FROM pg_sleep(600)
"""
DAGS = Path(__file__).parents[2] / "dags"


class Deployment:
    """The running servers."""

    def __init__(
        self,
        postgres: LocalPostgres,
        workspace: LocalWorkspace,
        newsletter: EmulatedWorkspace,
        airflow: LocalAirflow,
    ) -> None:
        self.postgres = postgres
        self.workspace = workspace
        self.newsletter = newsletter
        self.airflow = airflow

    def run(self, dag_id: str, *, state: str = "success") -> dict[str, Any]:
        """Run a DAG, check the final state, and return the summary."""
        run_id = self.airflow.client.trigger(dag_id)
        assert self.airflow.client.wait_for_run(dag_id, run_id) == state
        summary: dict[str, Any] = self.airflow.client.xcom(dag_id, run_id, "sync", "summary")
        return summary


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start a deployment with the demo's specs and two more."""
    folder = tmp_path_factory.mktemp("deployment")
    shutil.copytree(DAGS, folder / "dags")
    (folder / "dags" / "syncs" / "many.yaml").write_text(MANY_SPEC)
    (folder / "dags" / "syncs" / "slow.yaml").write_text(SLOW_SPEC)
    with (
        LocalPostgres(folder) as postgres,
        EmulatedWorkspace(faults=True) as production,
        EmulatedWorkspace() as newsletter,
    ):
        with postgres.connect() as connection:
            create_sample_database(connection)
        connections: dict[str, dict[str, object]] = {
            "warehouse": postgres.airflow_connection(),
            "customerio_production": production.airflow_connection(),
            "customerio_newsletter": newsletter.airflow_connection(),
        }
        environment = {
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "AIRFLOW__CUSTOMERIO__APPLY_WAIT": "0",
        }
        with LocalAirflow(
            folder / "airflow", dags_folder=folder / "dags", connections=connections, environment=environment
        ) as airflow:
            for dag_id in (PEOPLE_DAG, COMPANIES_DAG, SIGNUPS_DAG, MANY_DAG, SLOW_DAG):
                airflow.client.wait_for_dag(dag_id)
                airflow.client.unpause(dag_id)
            yield Deployment(postgres, LocalWorkspace(production), newsletter, airflow)


def people_in_postgres(connection: psycopg.Connection[Any]) -> dict[str, dict[str, str]]:
    """Return the expected people of the workspace, by the test's own SQL.

    Customer.io stores every value as text: a boolean as true or false, a number with its digits, a time as
    Unix seconds, nested values as JSON.
    """
    rows = connection.execute(
        """
        SELECT id::text, json_strip_nulls(json_build_object(
            'id', id::text, 'email', email, 'first_name', first_name, 'last_name', last_name,
            'plan', plan::text, 'born_on', extract(epoch FROM born_on)::bigint::text,
            'lifetime_value', lifetime_value::text, 'logins', logins::text, 'newsletter', newsletter::text,
            'interests', to_json(interests)::text, 'preferences', preferences::text,
            'referral_code', referral_code::text,
            'last_login_at', floor(extract(epoch FROM last_login_at))::bigint::text,
            'created_at', floor(extract(epoch FROM created_at))::bigint::text)) FROM people
        """
    ).fetchall()
    return {id_: comparable(person) for id_, person in rows}


def comparable(person: dict[str, str]) -> dict[str, Any]:
    """Return a person without `cio_id`, and with decoded JSON, so that spaces do not matter."""
    nested = {name: json.loads(person[name]) for name in ("interests", "preferences") if name in person}
    plain = {name: value for name, value in person.items() if name != "cio_id"}
    return plain | nested


def assert_workspace_equals_postgres(deployment: Deployment) -> None:
    """Compare all attributes of all people."""
    with deployment.postgres.connect() as connection:
        expected = people_in_postgres(connection)
    found = deployment.workspace.attributes(list(expected))
    assert {id_: comparable(person) for id_, person in found.items()} == expected


def test_the_workspace_equals_the_database_after_each_run(deployment: Deployment) -> None:
    """All 5,000 people arrive with the right values. After 50 rows change, 50 rows are sent."""
    assert deployment.run(PEOPLE_DAG)["queries"]["people"] == {
        "read": PEOPLE,
        "imported": PEOPLE,
        "failed": 0,
    }
    assert_workspace_equals_postgres(deployment)
    with deployment.postgres.connect() as connection:
        log_in(connection, 50)
    summary = deployment.run(PEOPLE_DAG)
    assert (summary["status"], summary["queries"]["people"]["read"]) == ("Completed", 50)
    assert_workspace_equals_postgres(deployment)


def test_companies_and_memberships_arrive(deployment: Deployment) -> None:
    """A sync imports objects and relationships. Memberships that have ended are not related."""
    summary = deployment.run(COMPANIES_DAG)
    with deployment.postgres.connect() as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM companies), count(*), count(*) FILTER (WHERE left_at IS NULL)"
            " FROM memberships"
        ).fetchone()
    assert counts
    companies, memberships, current = counts
    assert summary["status"] == "Completed"
    assert [part["imported"] for part in summary["queries"].values()] == [companies, memberships]
    stored = stats(deployment)
    assert (stored["objects"], stored["relationships"]) == (companies, current)


def test_rows_that_failed_are_imported_once_they_are_corrected(deployment: Deployment) -> None:
    """Four of 500 rows fail and are in the report. Once corrected, all people equal the database."""
    deployment.newsletter.identify("web-1", email=KNOWN_EMAIL)
    summary = deployment.run(SIGNUPS_DAG, state="failed")
    assert (summary["status"], summary["next_last_sync_time"]) == ("Some rows failed", 0)
    assert summary["queries"]["people"] == {
        "read": SIGNUPS,
        "imported": SIGNUPS - MISTAKES,
        "failed": MISTAKES,
    }
    assert requests.get(summary["report_url"], timeout=30).status_code == HTTPStatus.UNAUTHORIZED
    report = csv.DictReader(io.StringIO(deployment.airflow.client.text(summary["report_url"])))
    assert [(line["row"], line["identifier"], line["reason"], line["email"]) for line in report] == [
        ("127", "card-127", "invalid", "mina127@example,com"),
        ("211", "", "required", "ben211@example.com"),
        ("305", "card-305", "invalid", "chloe305@example.com"),
        ("402", "card-402", "failed_attribute_change", KNOWN_EMAIL),
    ]
    assert "email" not in deployment.newsletter.attributes("card-402")
    with deployment.postgres.connect() as connection:
        correct_signups(connection)
        rows = connection.execute(
            """
            SELECT card, json_strip_nulls(json_build_object(
                'id', card, 'email', email, 'first_name', first_name, 'remarks', remarks,
                'created_at', extract(epoch FROM signed_up_at)::bigint::text)) FROM signups
            """
        ).fetchall()
    assert deployment.run(SIGNUPS_DAG)["status"] == "Completed"
    expected: dict[str, dict[str, str]] = dict(rows)
    found = LocalWorkspace(deployment.newsletter).attributes(list(expected))
    assert {id_: comparable(person) for id_, person in found.items()} == expected
    assert deployment.newsletter.attributes("web-1")["email"] == KNOWN_EMAIL


def test_a_killed_task_is_tried_again_and_nothing_is_missing(deployment: Deployment) -> None:
    """After SIGKILL during the upload, the retry imports all rows, and the last sync time is not too late."""
    client = deployment.airflow.client
    key = f"{MANY_DAG}.last_sync_time"
    with deployment.postgres.connect() as connection:
        connection.execute(
            f"CREATE TABLE many AS SELECT 'm' || n AS id, repeat(n::text, 40) AS filler, now() AS updated_at"
            f" FROM generate_series(1, {MANY}) n"
        )
        before = time.time()
    people = stats(deployment)["people"]
    deployment.workspace.faults(schedule=[None] * 8 + [{"kind": "hang", "seconds": 60}] * 16)
    run_id = client.trigger(MANY_DAG)
    wait_until(lambda: stats(deployment)["people"] > people, what="The first batch", seconds=180)
    (task,) = deployment.airflow.task_processes()
    task.kill()
    deployment.workspace.faults()
    assert 0 < stats(deployment)["people"] - people < MANY
    assert client.wait_for_run(MANY_DAG, run_id) == "success"
    (instance,) = client.task_instances(MANY_DAG, run_id)
    assert instance["try_number"] == 2
    found = deployment.workspace.attributes([f"m{n}" for n in range(1, MANY + 1)])
    assert {id_: person["filler"] for id_, person in found.items()} == {
        f"m{n}": str(n) * 40 for n in range(1, MANY + 1)
    }
    assert stats(deployment)["people"] == people + MANY
    assert before - 5 < int(client.variable(key) or 0) < time.time()


def test_a_run_that_is_marked_as_failed_stops(deployment: Deployment) -> None:
    """The running query ends too, and the task is not retried."""
    client = deployment.airflow.client
    run_id = client.trigger(SLOW_DAG)

    def is_running() -> bool:
        with deployment.postgres.connect() as connection:
            active = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND state = 'active'"
            return connection.execute(active).fetchone() is not None

    wait_until(is_running, what="The query", seconds=180)
    client.mark_failed(SLOW_DAG, run_id, "sync")
    wait_until(lambda: not is_running(), what="The end of the query", seconds=180)
    assert client.wait_for_run(SLOW_DAG, run_id) == "failed"
    (instance,) = client.task_instances(SLOW_DAG, run_id)
    assert (instance["state"], instance["try_number"]) == ("failed", 1)


def stats(deployment: Deployment) -> dict[str, int]:
    """Return the counts of the workspace."""
    counts: dict[str, int] = requests.get(
        f"{deployment.workspace.emulator.url}/_emulator/stats", timeout=30
    ).json()
    return counts
