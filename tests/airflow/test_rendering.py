"""Templates that cannot be rendered: a short message without values of Variables, no retry, a summary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow

DAG = """\
from pathlib import Path
from airflow.sdk import DAG
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

def write_status(context):
    Path({status_file!r}).write_text(context["summary"]["status"])

with DAG("templates", schedule=None):
    CustomerIOSyncOperator(
        task_id="sync", workspace="production", sync_name="templates", postgres_conn_id="warehouse",
        retries=5, people_query={query!r}, on_failure_callback=write_status,
    )
"""
SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT 1\nAS {{ var.value.not_there }}",
            "people_query, line 2: the Variable not_there does not",
        ),
        ("SELECT {{ var.json.not_there.key }}", "line 1: the Variable not_there does not exist"),
        ("SELECT {{ conn.nowhere.host }}", "line 1: the connection nowhere does not exist"),
        ("{% include 'shared/cte.sql' %} SELECT 1", "line 1: the file shared/cte.sql was not found"),
        ("{% include ['a.sql', 'b.sql'] %} SELECT 1", "line 1: the file"),
        ("SELECT {{ last_synctime }}", "line 1: last_synctime is not defined. Did you mean last_sync_time?"),
        ("SELECT {{ elsewhere }}", "line 1: elsewhere is not defined. Correct the name."),
        ("SELECT {{ params.nothing }}", "line 1: nothing is not defined"),
        ("SELECT {{ 1 | quoted }}", "line 1: No filter named 'quoted'"),
        ("SELECT {{ 1 is strange }}", "line 1: No test named 'strange'"),
        ("SELECT\n{{ 1 / 0 }}", "line 2: the expression cannot be evaluated (ZeroDivisionError)"),
        ("SELECT {{ last_sync_time + 'x' }}", "line 1: the expression cannot be evaluated (TypeError)"),
        ("SELECT {{ ''.__class__ }}", "line 1: "),
        ("SELECT {{ unfinished", "line 1: "),
        ("SELECT {% if %}", "line 1: "),
        ("{# nothing #}", "people_query renders to something other than a SELECT"),
        ("{{ '' }}", "people_query renders to something other than a SELECT"),
        ("missing.sql", "people_query: the file missing.sql was not found"),
        ("{{ macros.datetime.strptime(var.value.hidden, '%Y') }}", "cannot be evaluated (ValueError)"),
        ("{{ {}[var.value.hidden] }}", "line 1: a name in the template is not defined"),
        ("{% include var.value.hidden %}", "line 1: the included file was not found"),
        ("{{ var.value[var.value.hidden] }}", "line 1: the Variable in the template does not exist"),
        ("{{ conn[var.value.hidden].host }}", "line 1: the connection in the template does not exist"),
        ("{{ var.json.hidden }}", "line 1: the Variable hidden is not valid JSON"),
    ],
)
def test_a_template_that_cannot_be_rendered(
    connected: Airflow,
    capfd: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    query: str,
    message: str,
) -> None:
    """The message has the query, the line and what to do. Callbacks and other tasks get a summary."""
    status_file = tmp_path_factory.mktemp("callback") / "status"
    connected.set_variable("hidden", SECRET)
    connected.write("templates.py", DAG.format(query=query, status_file=str(status_file)))
    run = connected.run("templates")
    out = capfd.readouterr().out
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)
    summary = connected.summary(run)
    assert (summary["status"], summary["queries"]["people"]["read"]) == ("Failed", 0)
    assert status_file.read_text() == "Failed"
    assert message in out
    assert SECRET not in out + json.dumps(summary)


def test_a_file_that_is_not_utf8(connected: Airflow, capfd: pytest.CaptureFixture[str]) -> None:
    """The message asks for UTF-8, and does not quote the error of the codec."""
    connected.write("templates.py", DAG.format(query="latin.sql", status_file="/dev/null"))
    connected.write_bytes("latin.sql", "SELECT 'é'".encode("latin-1"))
    assert connected.run("templates").state == "failed"
    assert "people_query: the file is not valid UTF-8. Save it as UTF-8" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"postgres_conn_id": "nowhere"},
            "The connection nowhere (postgres_conn_id) does not exist. Create it with the type Postgres",
        ),
        (
            {"customerio_conn_id": "no_cio"},
            "The connection no_cio (customerio_conn_id) does not exist. Create it with the type Customer.io",
        ),
    ],
)
def test_a_connection_that_does_not_exist(
    connected: Airflow, capfd: pytest.CaptureFixture[str], fields: dict[str, str], message: str
) -> None:
    """The message names the connection, the argument, its type, where to create it, and the document."""
    given = {"postgres_conn_id": "warehouse"} | fields
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    text = DAG.format(query="SELECT 'c1' AS id", status_file="/dev/null")
    connected.write("templates.py", text.replace('postgres_conn_id="warehouse"', arguments))
    run = connected.run("templates")
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)
    out = capfd.readouterr().out
    assert message in out
    assert "under Admin > Connections, as docs/connections.md describes" in out


def test_a_mapped_task_is_rendered_like_others(connected: Airflow) -> None:
    """The templates of each mapped sync get the last sync time of that sync."""
    connected.write(
        "mapped.py",
        """\
from airflow.sdk import DAG
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

with DAG("mapped", schedule=None):
    CustomerIOSyncOperator.partial(
        task_id="sync", workspace="production", pool="customerio.production", postgres_conn_id="warehouse",
        people_query="SELECT 'map{{ last_sync_time }}' AS id",
    ).expand(sync_name=["mapped_a", "mapped_b"])
""",
    )
    connected.set_variable("customerio.production.mapped_b.last_sync_time", "7")
    run = connected.run("mapped")
    assert run.state == "success"
    summaries = [
        task.xcom_pull(task_ids="sync", key="summary", map_indexes=n)
        for n, task in enumerate(sorted(run.get_task_instances(), key=lambda task: task.map_index))
    ]
    assert [summary["last_sync_time"] for summary in summaries] == [0, 7]
