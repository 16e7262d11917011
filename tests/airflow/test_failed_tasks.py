"""The last log line of a failed task is one short sentence that says what to do, whatever ended the run."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests

from tests.airflow.test_sync import spec

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.process import EmulatorProcess
    from tests.airflow.conftest import Airflow

#: The most characters of a last line: about three lines of a narrow log view.
LONGEST = 260
DAG_ID = "customerio.production.failing"
KEY = f"{DAG_ID}.last_sync_time"
SLOW = "SELECT 'x' AS id FROM pg_sleep(600)"
MAPPED = """\
from airflow.sdk import DAG
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

with DAG("customerio.production.mapped", schedule=None):
    CustomerIOSyncOperator.partial(
        task_id="sync", workspace="production", postgres_conn_id="warehouse", people_query="SELECT 1 AS id",
        nulls="drop", pool="customerio.production",
    ).expand(sync_name=["mapped"])
"""


class Case(NamedTuple):
    """A run that fails, as changes of a run that works."""

    query: str = "SELECT 'failing1' AS id"
    more: str = ""
    people: str = ""
    variable: str = ""
    conf: dict[str, Any] = {}  # noqa: RUF012 - it is not changed
    warehouse: dict[str, Any] = {}  # noqa: RUF012
    workspace: dict[str, Any] = {}  # noqa: RUF012
    environment: dict[str, str] = {}  # noqa: RUF012


def last_line(output: str) -> str:
    """Return the last line of the exception that ended a task."""
    plain = re.sub("\x1b\\[[0-9;]*m", "", output)
    found = re.findall(r"^airflow\.sdk\.exceptions\.\w+: (.*)\n(?=\d{4}-)", plain, re.MULTILINE)
    assert found, plain
    return str(found[-1])


def assert_short_sentence(line: str, *expected: str) -> None:
    """Assert that a last line contains some texts, is short, and is a sentence."""
    for text in expected:
        assert text in line
    assert len(line) <= LONGEST
    assert re.fullmatch(r"\S.*[.!?]", line)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(conf={"dryrun": True}), "Did you mean dry_run? Correct the key."),
        (Case(query="SELECT {{ var.value.not_there }}"), "Create it under Admin > Variables"),
        (Case(variable="yesterday"), f"The Variable {KEY} is 'yesterday'"),
        (Case(more="customerio_conn_id: nowhere\n"), "under Admin > Connections"),
        (Case(warehouse={"password": "wrong"}), "Correct the login and password"),
        (Case(warehouse={"port": 1}), "Cannot connect to Postgres"),
        (Case(query="SELECT id FROM not_there"), "not_there"),
        (Case(query='SELECT 1 AS "Id", 2 AS cio_id'), "The log lines above have the corrections."),
        (Case(query=SLOW, more="statement_timeout: 1 second\n"), "statement_timeout"),
        (Case(query=SLOW, more="execution_timeout: 2 seconds\n"), "exceeded its execution_timeout"),
        (Case(workspace={"password": "wrong-key"}), "Site ID"),
        (Case(workspace={"host": "ftp://example.org"}), "The URL must begin with https:// or http://."),
        (Case(people="  segment: {name: VIP}\n"), "needs app_api_key"),
        (Case(query="SELECT NULL AS id"), "Correct the rows, then run again."),
        (Case(environment={"AIRFLOW__CUSTOMERIO__REPORTS_URL": "reports"}), "Set it to an absolute URL"),
    ],
)  # fmt: skip
def test_a_failed_task_ends_with_what_to_do(
    connected: Airflow,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    case: Case,
    expected: str,
) -> None:
    """This covers the run conf, settings, the source, the workspace, rows and time limits."""
    for connection, changes in (("warehouse", case.warehouse), ("customerio_production", case.workspace)):
        connected.connect(
            connection, **{**json.loads(os.environ[f"AIRFLOW_CONN_{connection.upper()}"]), **changes}
        )
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    text = spec("failing", case.query, case.more).replace("people:\n", f"people:\n{case.people}")
    connected.write("syncs/failing.yaml", text)
    connected.set_variable(KEY, case.variable or "0")
    assert connected.run(DAG_ID, **case.conf).state == "failed"
    assert_short_sentence(last_line(capfd.readouterr().out), expected)


def test_a_wrong_argument_of_a_mapped_task(connected: Airflow, capfd: pytest.CaptureFixture[str]) -> None:
    """The last line names the argument and its valid values."""
    connected.write("mapped.py", MAPPED)
    assert connected.run("customerio.production.mapped").state == "failed"
    assert_short_sentence(last_line(capfd.readouterr().out), "nulls='drop' is not valid: use remove or skip.")


def test_an_outage_of_customerio(
    connected: Airflow, emulator: EmulatorProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    """The last line has the status of the response, and recommends another run."""
    connected.write("syncs/failing.yaml", spec("failing", "SELECT 'failing1' AS id"))
    connected.set_variable(KEY, "0")
    requests.post(f"{emulator.url}/_faults", json={"rate": 1, "kinds": ["503"]}, timeout=5).raise_for_status()
    try:
        assert connected.run(DAG_ID).state == "failed"
    finally:
        requests.delete(f"{emulator.url}/_faults", timeout=5)
    assert_short_sentence(last_line(capfd.readouterr().out), "Customer.io answered 503. Run the task again.")


def test_an_unexpected_error(
    connected: Airflow, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The log shows where an unexpected error was raised. No line has its text, which can quote rows."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("s3cret")

    monkeypatch.setattr("airflow_provider_cio.operators.sync.run_sync", fail)
    connected.write("syncs/failing.yaml", spec("failing", "SELECT 'failing1' AS id"))
    connected.set_variable(KEY, "0")
    assert connected.run(DAG_ID).state == "failed"
    out = capfd.readouterr().out
    assert_short_sentence(last_line(out), "An unexpected ZeroDivisionError ended the run")
    assert "s3cret" not in out
