"""Syncs in a real Airflow, one run at a time."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pendulum
import pytest

from tests.integration.conftest import LocalWorkspace

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.process import EmulatorProcess
    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

PEOPLE = "CREATE TABLE people (id text, email text, updated_at timestamptz DEFAULT now() - interval '1h')"
QUERY = "SELECT id, email FROM people WHERE extract(epoch FROM updated_at) >= {{last_sync_time}}"


def spec(name: str, query: str = QUERY, more: str = "") -> str:
    """Return a spec without retries, so that a run that fails does not wait."""
    return (
        f"name: {name}\nworkspace: production\npostgres_conn_id: warehouse\nretries: 0\n{more}"
        f"people:\n  identify_by: id\n  query: {query}\n"
    )


def test_a_second_run_sends_only_what_changed(connected: Airflow, database: Database) -> None:
    """The first run starts at 0. The query of the second run has the last sync time of the first."""
    database.execute(
        f"{PEOPLE}; INSERT INTO people SELECT 'a' || n, 'a' || n || '@b.co' FROM generate_series(1, 9) n"
    )
    connected.write("syncs/moves.yaml", spec("moves"))
    first = connected.run("customerio.production.moves")
    summary = connected.summary(first)
    assert (first.state, summary["status"]) == ("success", "Completed")
    assert summary["queries"] == {"people": {"read": 9, "imported": 9, "failed": 0}}
    assert connected.rendered_query(first).endswith(">= 0")
    database.execute("UPDATE people SET updated_at = now() WHERE id = 'a3'")
    second = connected.run("customerio.production.moves")
    assert connected.summary(second)["queries"]["people"]["read"] == 1
    assert connected.summary(second)["last_sync_time"] == summary["next_last_sync_time"]
    assert connected.rendered_query(second).endswith(f">= {summary['next_last_sync_time']}")
    key = "customerio.production.moves.last_sync_time"
    assert connected.variable(key) == str(connected.summary(second)["next_last_sync_time"])


def test_a_rejected_row_fails_the_run_and_keeps_the_last_sync_time(
    connected: Airflow, database: Database
) -> None:
    """Every row is tried. The run fails without a retry and has a summary; the last sync time stays."""
    database.execute(
        f"{PEOPLE}; INSERT INTO people VALUES ('r1', 'a@b.co'), (NULL, 'c@d.co'), ('r3', 'no address')"
    )
    connected.write("syncs/rejected.yaml", spec("rejected"))
    run = connected.run("customerio.production.rejected")
    summary = connected.summary(run)
    assert (run.state, summary["status"]) == ("failed", "Some rows failed")
    assert summary["queries"] == {"people": {"read": 3, "imported": 1, "failed": 2}}
    assert (summary["last_sync_time"], summary["next_last_sync_time"]) == (0, 0)
    assert connected.variable("customerio.production.rejected.last_sync_time") is None


def test_full_refresh_starts_at_0_for_one_run(connected: Airflow, database: Database) -> None:
    """The switch sends everything again in one run."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('f1', 'f@b.co')")
    connected.write("syncs/full.yaml", spec("full"))
    later = str(int(time.time()) + 3600)
    connected.set_variable("customerio.production.full.last_sync_time", later)
    assert connected.summary(connected.run("customerio.production.full"))["queries"]["people"]["read"] == 0
    connected.set_variable("customerio.production.full.last_sync_time", later)
    summary = connected.summary(connected.run("customerio.production.full", full_refresh=True))
    assert (summary["last_sync_time"], summary["queries"]["people"]["read"]) == (0, 1)


def test_a_dry_run_checks_all_and_sends_nothing(
    connected: Airflow, database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every row is read and checked. No request is sent, and the last sync time stays.

    The log does not call a row imported that would be.
    """
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('d1', 'd@b.co'), ('d2', 'no address')")
    connected.write("syncs/dry.yaml", spec("dry"))
    summary = connected.summary(connected.run("customerio.production.dry", dry_run=True))
    assert summary["queries"] == {"people": {"read": 2, "imported": 1, "failed": 1}}
    assert (summary["requests"], summary["dry_run"], summary["next_last_sync_time"]) == (0, True, 0)
    assert "read  would be imported      failed" in capfd.readouterr().out
    assert connected.variable("customerio.production.dry.last_sync_time") is None


@pytest.mark.parametrize("typed", ["yesterday", "-5", "1795599600000"])
def test_a_last_sync_time_that_is_not_valid_fails_the_run(
    connected: Airflow, database: Database, typed: str
) -> None:
    """A mistyped Variable is not interpreted: milliseconds, for example, would skip changes."""
    database.execute(PEOPLE)
    connected.write("syncs/typo.yaml", spec("typo"))
    connected.set_variable("customerio.production.typo.last_sync_time", typed)
    assert connected.run("customerio.production.typo").state == "failed"
    assert connected.variable("customerio.production.typo.last_sync_time") == typed


def test_wrong_credentials_fail_at_once(
    connected: Airflow, database: Database, emulator: EmulatorProcess
) -> None:
    """The run is not tried again. Its summary has the status Failed."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('w1', 'w@b.co')")
    connected.write("syncs/wrong.yaml", spec("wrong").replace("retries: 0", "retries: 5"))
    connected.connect(
        "customerio_production", conn_type="customerio", login="x", password="wrong-key", host=emulator.url
    )
    run = connected.run("customerio.production.wrong")
    summary = connected.summary(run)
    assert (run.state, summary["status"], summary["requests"]) == ("failed", "Failed", 1)
    assert run.get_task_instances()[0].try_number == 1


def test_a_missing_connection_fails_at_once(connected: Airflow) -> None:
    """The run is not tried again."""
    connected.write(
        "syncs/nowhere.yaml", spec("nowhere").replace("retries: 0", "retries: 5\ncustomerio_conn_id: nowhere")
    )
    run = connected.run("customerio.production.nowhere")
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)


def test_the_operator_works_without_yaml(connected: Airflow, database: Database) -> None:
    """In an ordinary DAG, the query can be a .sql file, and the task uses the pool of the workspace."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('o1', 'o@b.co')")
    connected.write("people.sql", QUERY)
    connected.write(
        "own.py",
        "from airflow.sdk import DAG\n"
        "from airflow_provider_cio.operators.sync import CustomerIOSyncOperator\n"
        "with DAG('own'):\n"
        "    CustomerIOSyncOperator(task_id='sync', workspace='production', sync_name='own',\n"
        "        postgres_conn_id='warehouse', people_query='people.sql')\n",
    )
    assert connected.dags()["own"].get_task("sync").pool == "customerio.production"
    summary = connected.summary(connected.run("own"))
    assert summary["queries"]["people"]["imported"] == 1


def test_objects_and_relationships_are_one_sync(connected: Airflow) -> None:
    """Both queries get the last sync time. The object type of the objects applies to the relationships."""
    connected.write(
        "syncs/companies.yaml",
        "name: companies\nworkspace: production\npostgres_conn_id: warehouse\nretries: 0\n"
        "objects:\n  object_type_id: '1'\n  query: SELECT 'acme' AS object_id, {{ last_sync_time }} AS t\n"
        "relationships:\n  query: SELECT 'boss' AS id, 'acme' AS object_id, {{ last_sync_time }} AS since\n",
    )
    assert "objects" in connected.dags()["customerio.production.companies"].tags
    summary = connected.summary(connected.run("customerio.production.companies"))
    assert summary["status"] == "Completed"
    assert [counts["imported"] for counts in summary["queries"].values()] == [1, 1]


def test_a_broken_spec_gets_a_dag_and_does_not_affect_others(connected: Airflow, database: Database) -> None:
    """The DAG of a broken spec has a tag and the problem in its docs, and each of its runs fails."""
    database.execute(PEOPLE)
    connected.write("syncs/good.yaml", spec("good"))
    connected.write("syncs/broken.yaml", "name: broken\nworkspac: production\n")
    dags = connected.dags()
    assert set(dags) == {"customerio.production.good", "customerio_spec_error.broken"}
    broken = dags["customerio_spec_error.broken"]
    assert "spec-error" in broken.tags
    assert "broken.yaml:2:1: unknown key workspac: did you mean workspace?" in broken.doc_md
    assert connected.run("customerio_spec_error.broken").state == "failed"


def test_a_dag_has_the_documented_names_and_limits(airflow: Airflow) -> None:
    """This covers the id, tags, pool, params and limits of a DAG."""
    airflow.write(
        "syncs/named.yaml", spec("named", more="schedule: '*/5 * * * *'\ntags: [crm]\nowner: growth\n")
    )
    dag = airflow.dags()["customerio.production.named"]
    task = dag.get_task("sync")
    assert dag.tags == {"customerio", "production", "people", "crm"}
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    assert dict(dag.params) == {"full_refresh": False, "dry_run": False}
    assert (task.pool, task.retries, task.owner) == ("customerio.production", 0, "growth")


def test_airflow_stores_no_secrets_and_no_data_of_people(
    connected: Airflow, database: Database, emulator: EmulatorProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """Log, summary and rendered query do not contain the key or an attribute of a rejected row."""
    database.execute(
        f"{PEOPLE}; INSERT INTO people VALUES ('s1', 'private@example.com'), ('s2', 'top secret')"
    )
    connected.write("syncs/secret.yaml", spec("secret"))
    run = connected.run("customerio.production.secret")
    everything = json.dumps(connected.summary(run)) + connected.rendered_query(run) + caplog.text
    assert "attributes.email" in everything
    for private in (emulator.api_key, "private@example.com", "top secret"):
        assert private not in everything


def test_people_are_added_to_a_segment_by_its_name(connected: Airflow, emulator: EmulatorProcess) -> None:
    """The segment is created if it does not exist. This needs an App API key."""
    connected.write(
        "syncs/members.yaml",
        spec("members", "SELECT 'member' || n AS id FROM generate_series(1, 3) n").replace(
            "people:\n", "people:\n  segment: {name: Members of the sync}\n"
        ),
    )
    run = connected.run("customerio.production.members")
    assert run.state == "failed"
    connected.connect(
        "customerio_production",
        conn_type="customerio",
        login=emulator.site_id,
        password=emulator.api_key,
        host=emulator.url,
        extra={"app_api_key": emulator.app_api_key, "app_host": emulator.url},
    )
    summary = connected.summary(connected.run("customerio.production.members"))
    assert (summary["status"], summary["added_to_segment"]) == ("Completed", 3)


def test_timeouts_end_a_run(connected: Airflow, database: Database) -> None:
    """`statement_timeout` limits the wait for rows, `execution_timeout` the run. No query runs afterwards."""
    database.execute(PEOPLE)
    slow = "SELECT 'x' AS id FROM pg_sleep(600)"
    connected.write("syncs/statement.yaml", spec("statement", slow, "statement_timeout: 1 second\n"))
    connected.write("syncs/execution.yaml", spec("execution", slow, "execution_timeout: 2 seconds\n"))
    active = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    for name in ("statement", "execution"):
        run = connected.run(f"customerio.production.{name}")
        assert (run.state, connected.summary(run)["status"]) == ("failed", "Failed")
        assert database.connection.execute(active).fetchall() == []


def test_a_spec_sets_owner_docs_and_limits_of_its_dag(airflow: Airflow) -> None:
    """The docs have a sentence about the sync, and the spec itself."""
    more = (
        "description: Who pays\nowner: growth\nowner_links: {growth: 'mailto:growth@example.com'}\n"
        "max_consecutive_failed_dag_runs: 5\nexecution_timeout: 1 hour\nschedule: {every: 45 minutes}\n"
    )
    text = spec("owned", more=more).replace(f"query: {QUERY}", "query_file: people.sql")
    airflow.write("syncs/people.sql", QUERY)
    airflow.write("syncs/owned.yaml", text)
    dag = airflow.dags()["customerio.production.owned"]
    task = dag.get_task("sync")
    assert (dag.description, dag.owner, dag.owner_links) == (
        "Who pays",
        "growth",
        {"growth": "mailto:growth@example.com"},
    )
    assert (dag.max_consecutive_failed_dag_runs, task.execution_timeout) == (5, dt.timedelta(hours=1))
    assert (
        "Every 45 minutes, imports people from `warehouse` into the workspace **production**." in dag.doc_md
    )
    assert "owner_links:\n  growth: mailto:growth@example.com\n" in dag.doc_md
    assert QUERY in dag.doc_md


def test_a_changed_spec_applies_to_the_next_run(connected: Airflow, emulator: EmulatorProcess) -> None:
    """The last sync time stays when a spec changes."""
    connected.write("syncs/changing.yaml", spec("changing", "SELECT 'changing' AS id, 'free' AS plan"))
    first = connected.summary(connected.run("customerio.production.changing"))
    query = "SELECT 'changing' AS id, 'pro' AS plan, {{ last_sync_time }} AS since"
    connected.write("syncs/changing.yaml", spec("changing", query))
    connected.run("customerio.production.changing")
    person = LocalWorkspace(emulator).attributes(["changing"])["changing"]
    assert (person["plan"], person["since"]) == ("pro", str(first["next_last_sync_time"]))


def test_a_deleted_spec_deletes_nothing_in_customerio(connected: Airflow, emulator: EmulatorProcess) -> None:
    """The DAG disappears. Imported people and the last sync time stay."""
    connected.write("syncs/deleted.yaml", spec("deleted", "SELECT 'deleted' AS id, 'pro' AS plan"))
    summary = connected.summary(connected.run("customerio.production.deleted"))
    (Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / "syncs" / "deleted.yaml").unlink()
    assert "customerio.production.deleted" not in connected.dags()
    assert LocalWorkspace(emulator).attributes(["deleted"])["deleted"]["plan"] == "pro"
    key = "customerio.production.deleted.last_sync_time"
    assert connected.variable(key) == str(summary["next_last_sync_time"])


def test_a_resumed_sync_runs_only_for_the_latest_missed_interval(airflow: Airflow) -> None:
    """A sync that was paused for years runs once for the last interval, and then by its schedule."""
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import DagRunInfo

    airflow.write("syncs/paused.yaml", spec("paused", more="schedule: '0 0 1 1 *'\n"))
    dag = airflow.dags()["customerio.production.paused"]
    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    before = DagRunInfo.exact(pendulum.datetime(2020, 1, 1))
    latest = scheduled.next_dagrun_info(last_automated_run_info=before)
    assert latest
    assert latest.run_after == pendulum.today("UTC").start_of("year")
    following = scheduled.next_dagrun_info(last_automated_run_info=latest)
    assert following
    assert following.run_after == latest.run_after.add(years=1)


def test_a_sync_can_update_people_and_create_none(
    connected: Airflow, database: Database, emulator: EmulatorProcess
) -> None:
    """The key `create` of a spec reaches Customer.io, and the summary counts rows without a person."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('uo1', 'uo1@b.co')")
    connected.write("syncs/creates.yaml", spec("creates"))
    connected.run("customerio.production.creates")
    database.execute("INSERT INTO people VALUES ('uo2', 'uo2@b.co')")
    connected.connect(
        "customerio_production",
        conn_type="customerio",
        login=emulator.site_id,
        password=emulator.api_key,
        host=emulator.url,
        extra=json.dumps({"app_api_key": emulator.app_api_key}),
    )
    connected.write("syncs/updates.yaml", spec("updates", more="create: false\n"))
    run = connected.run("customerio.production.updates")
    summary = connected.summary(run)
    assert (run.state, summary["rows_imported"], summary["not_found"]) == ("success", 2, 1)
    assert set(LocalWorkspace(emulator).attributes(["uo1", "uo2"])) == {"uo1"}
