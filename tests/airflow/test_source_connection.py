"""Postgres connections of Airflow with fields that cannot be used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.test_sync import spec
from tests.integration.conftest import LocalWorkspace

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.process import EmulatorProcess
    from local.postgres import LocalPostgres
    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

QUERY = "SELECT 'connected' AS id"


@pytest.fixture
def warehouse(postgres: LocalPostgres, database: Database) -> dict[str, Any]:
    """Return the fields of a connection that works."""
    return {**postgres.airflow_connection(), "schema": database.name}


@pytest.mark.parametrize("cursor", ["realdictcursor", "dictcursor", "namedtuplecursor", "nothing"])
def test_a_cursor_for_other_operators_does_not_matter(
    connected: Airflow, warehouse: dict[str, Any], cursor: str
) -> None:
    """The extra `cursor` sets the class of rows for other operators. A sync ignores it."""
    connected.connect("warehouse", **{**warehouse, "extra": {"cursor": cursor}})
    connected.write("syncs/cursor.yaml", spec("cursor", QUERY))
    assert connected.summary(connected.run("customerio.production.cursor"))["status"] == "Completed"


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({}, "customerio:production.named"),
        ({"application_name": "crm"}, "crm"),
        ({"fallback_application_name": "crm"}, "crm"),
        ({"options": "-c application_name=crm"}, "crm"),
        ({"options": "-c timezone=UTC"}, "customerio:production.named"),
    ],
)
def test_sessions_have_the_name_of_the_sync(
    connected: Airflow, warehouse: dict[str, Any], emulator: EmulatorProcess, extra: dict[str, Any], name: str
) -> None:
    """An administrator sees in Postgres which sync runs a query. A name of the connection wins."""
    connected.connect("warehouse", **{**warehouse, "extra": extra})
    query = "SELECT 'named' AS id, current_setting('application_name') AS application_name"
    connected.write("syncs/named.yaml", spec("named", query))
    connected.run("customerio.production.named")
    assert LocalWorkspace(emulator).attributes(["named"])["named"]["application_name"] == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": {"iam": True}}, "needs a package that is not installed"),
        ({"extra": {"iam": True, "azure_conn_id": "azure"}}, "cannot be used|needs a package"),
        ({"extra": {"no_such_option": "hunter2"}}, 'invalid connection option "no_such_option"'),
        ({"extra": {"sslmode": "sometimes"}}, "Use disable, allow"),
        ({"extra": {"connect_timeout": "hunter2"}}, "cannot be used|correct"),
        ({"extra": {"options": {"hunter2": 1}}}, "cannot be used|correct|options|refuses"),
        ({"extra": {"sslkey": "no/such/hunter2", "sslmode": "verify-full"}}, "Turn TLS on in the server"),
        ({"password": ""}, "Add the password to the connection"),
        ({"password": "wrong"}, "28P01"),
        ({"schema": "nowhere"}, "Correct the connection's database"),
    ],
)
def test_what_a_person_has_to_change_fails_at_once(
    connected: Airflow,
    warehouse: dict[str, Any],
    change: dict[str, Any],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The task is not retried. The log has what to do, and no value of the connection."""
    connected.connect("warehouse", **{**warehouse, **change})
    connected.write("syncs/wrong.yaml", spec("wrong", QUERY))
    run = connected.run("customerio.production.wrong")
    (task,) = run.get_task_instances()
    assert (task.state, task.try_number) == ("failed", 1)
    assert connected.summary(run)["status"] == "Failed"
    log = capfd.readouterr().out
    assert re.search(message, log)
    assert "hunter2" not in log
