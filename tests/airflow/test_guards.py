"""Guards of syncs in a real Airflow."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.test_sync import PEOPLE, spec

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

EVERYTHING = "SELECT id, email FROM people"


def full_rows(airflow: Airflow, sync_name: str) -> int | None:
    """Return the number of rows of the last Completed run that read everything."""
    value = airflow.variable(f"customerio.production.{sync_name}.last_completed")
    rows: int | None = json.loads(value or "{}").get("full_rows")
    return rows


def insert(database: Database, first: int, last: int) -> None:
    """Add people."""
    database.execute(
        f"INSERT INTO people SELECT 'gu' || n, NULL, now() FROM generate_series({first}, {last}) n"
    )


def run(airflow: Airflow, sync_name: str, **conf: Any) -> tuple[str, str, int]:
    """Run a sync, and return the state of its DAG run, and the status and the requests of its summary."""
    done = airflow.run(f"customerio.production.{sync_name}", **conf)
    summary = airflow.summary(done)
    return str(done.state), summary["status"], summary["requests"]


def test_a_guard_that_trips_fails_the_run_without_a_retry(connected: Airflow, database: Database) -> None:
    """Nothing is sent, the summary is there, and the last sync time stays."""
    database.execute(PEOPLE)
    more = "guards: {min_rows: 1, max_failed: 5%}\n"
    connected.write("syncs/empty.yaml", spec("empty", more=more).replace("retries: 0", "retries: 5"))
    done = connected.run("customerio.production.empty")
    summary = connected.summary(done)
    assert (done.state, summary["status"], summary["requests"]) == ("failed", "Failed", 0)
    assert done.get_task_instances()[0].try_number == 1
    assert connected.variable("customerio.production.empty.last_sync_time") is None
    assert full_rows(connected, "empty") is None
    insert(database, 1, 1)
    assert run(connected, "empty") == ("success", "Completed", 1)


def test_no_changes_are_not_a_fault(connected: Airflow, database: Database) -> None:
    """When the query reads only changes, `min_rows` does not apply. It applies again in a full refresh."""
    database.execute(PEOPLE)
    insert(database, 1, 5)
    connected.write("syncs/changes.yaml", spec("changes", more="guards: {min_rows: 5, max_growth: 10%}\n"))
    assert run(connected, "changes")[1] == "Completed"
    later = str(int(time.time()) + 3600)
    connected.set_variable("customerio.production.changes.last_sync_time", later)
    assert run(connected, "changes") == ("success", "Completed", 0)
    assert full_rows(connected, "changes") == 5
    database.execute("DELETE FROM people WHERE id = 'gu5'")
    connected.set_variable("customerio.production.changes.last_sync_time", later)
    assert run(connected, "changes", full_refresh=True) == ("failed", "Failed", 0)


def test_growth_is_relative_to_the_last_completed_run_that_read_everything(
    connected: Airflow, database: Database
) -> None:
    """A query without the last sync time reads everything in each run. Only Completed runs count."""
    database.execute(PEOPLE)
    insert(database, 1, 4)
    connected.write("syncs/grows.yaml", spec("grows", EVERYTHING, "guards: {max_growth: 100%}\n"))
    assert run(connected, "grows")[1] == "Completed"
    insert(database, 5, 8)
    assert run(connected, "grows")[1] == "Completed"
    assert full_rows(connected, "grows") == 8
    insert(database, 9, 17)
    for _ in range(2):
        assert run(connected, "grows") == ("failed", "Failed", 0)
        assert full_rows(connected, "grows") == 8
    database.execute("DELETE FROM people WHERE id = 'gu17'")
    assert run(connected, "grows", dry_run=True)[1] == "Completed"
    assert full_rows(connected, "grows") == 8
    assert run(connected, "grows")[1] == "Completed"
    assert full_rows(connected, "grows") == 16


def test_too_many_failed_rows_are_in_the_report(connected: Airflow, database: Database) -> None:
    """The status is Failed instead of Some rows failed."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('gr1', NULL), (NULL, NULL)")
    connected.write("syncs/share.yaml", spec("share", more="guards: {max_failed: 10%}\n"))
    done = connected.run("customerio.production.share")
    summary = connected.summary(done)
    assert (done.state, summary["status"]) == ("failed", "Failed")
    assert (summary["rows_imported"], summary["rows_failed"]) == (1, 1)
    assert summary["report"]
    assert connected.variable("customerio.production.share.last_sync_time") is None


@pytest.mark.parametrize(
    ("template", "uses"),
    [
        ("SELECT 1", False),
        ("SELECT {{ var.value.x }}", False),
        ("SELECT {{ last_sync_time }}", True),
        ("{% if last_sync_time %}SELECT 1{% endif %}", True),
        ("SELECT {# last_sync_time #} 1", False),
        ("{% include 'part.sql' %}", True),
        ("{% include 'other.txt' %}", False),
        ("{% set part = 'other.txt' %}{% include part %}", True),
        ("part.sql", True),
        ("whole.sql", False),
        (lambda **_: "SELECT 1", True),
    ],
)
@pytest.mark.usefixtures("airflow")
def test_a_query_reads_everything_if_it_does_not_use_the_last_sync_time(
    template: Any,
    uses: bool,  # noqa: FBT001
) -> None:
    """Files and includes are examined. A query that cannot be examined counts as one that uses it."""
    import jinja2

    from airflow_provider_cio.operators.guards import uses_last_sync_time

    files = {"part.sql": "{{ last_sync_time - 60 }}", "other.txt": "SELECT 1", "whole.sql": "SELECT 1"}
    assert uses_last_sync_time(template, jinja2.Environment(loader=jinja2.DictLoader(files))) is uses  # noqa: S701
