"""Syncs with `failed_rows: retry`: what they remember, and when their task fails."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.operators.arguments import ArgumentError
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator
from tests.airflow.test_cli_status import statuses
from tests.airflow.test_reports import read
from tests.airflow.test_sync import spec

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow, Typed
    from tests.conftest import Database

BAD = "x" * 1001
TABLE = (
    "CREATE TABLE people"
    " (id text PRIMARY KEY, v text, updated_at timestamptz DEFAULT now() - interval '1 hour')"
)
QUERY = "SELECT id, v FROM people WHERE updated_at >= to_timestamp({{ last_sync_time }})"


def retrying(name: str, query: str = QUERY) -> str:
    """Return a spec with failed_rows: retry."""
    return spec(name, query, "failed_rows: retry\n")


def variables(airflow: Airflow, name: str) -> tuple[str | None, str | None]:
    """Return the generation of the failed rows, and the last sync time."""
    prefix = f"customerio.production.{name}"
    return airflow.variable(f"{prefix}.failed_rows"), airflow.variable(f"{prefix}.last_sync_time")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder with the state of the syncs of a test."""
    folder = tmp_path / "state"
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__STATE_URL", f"file://{folder}")
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__REPORTS_URL", f"file://{tmp_path / 'reports'}")
    return folder


def test_a_row_fails_the_task_once_and_is_retried_until_it_is_corrected(
    connected: Airflow, database: Database, state: Path, typed: Typed
) -> None:
    """The last sync time moves. While the row still fails, the task succeeds and updates its asset."""
    database.execute(f"{TABLE}; INSERT INTO people VALUES ('q1', 'good'), ('q2', '{BAD}')")
    connected.write("syncs/once.yaml", retrying("once"))
    first = connected.run("customerio.production.once")
    summary = connected.summary(first)
    assert (first.state, summary["status"], summary["rows_newly_failed"]) == ("failed", "Some rows failed", 1)
    generation, last_sync_time = variables(connected, "once")
    assert last_sync_time == str(summary["next_last_sync_time"]) != "0"
    (file,) = (state / "production" / "once").iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == (f"failed_rows-{generation}.json", 0o600)

    second = connected.run("customerio.production.once")
    summary = connected.summary(second)
    assert (second.state, summary["status"], summary["rows_read"]) == ("success", "Some rows failed", 1)
    assert (summary["rows_newly_failed"], summary["rows_to_retry"], summary["most_tries"]) == (0, 1, 2)
    listed = statuses(typed, "--workspace", "production")["once"]
    assert (listed["state"], listed["failing_rows"]) == ("Some rows failed", 1)
    (row,) = read(Path(summary["report"].removeprefix("file://")))
    assert (row["identifier"], row["tries"], row["failing_since"][:16]) == (
        "q2",
        "2",
        summary["failing_since"][:16].replace("T", " "),
    )
    assert len(list((state / "production" / "once").iterdir())) == 1

    database.execute(f"INSERT INTO people VALUES ('q3', '{BAD}', now())")
    third = connected.run("customerio.production.once")
    assert (third.state, connected.summary(third)["rows_newly_failed"]) == ("failed", 1)

    database.execute("UPDATE people SET v = 'better'")
    fourth = connected.run("customerio.production.once")
    summary = connected.summary(fourth)
    assert (fourth.state, summary["status"], summary["rows_imported"]) == ("success", "Completed", 2)
    assert variables(connected, "once")[0] == "none"
    assert list((state / "production" / "once").iterdir()) == []


def test_a_sync_without_failed_rows_writes_no_state(
    connected: Airflow, database: Database, state: Path
) -> None:
    """It has neither a file nor a second Variable."""
    database.execute(f"{TABLE}; INSERT INTO people VALUES ('clean', 'good')")
    connected.write("syncs/clean.yaml", retrying("clean"))
    connected.run("customerio.production.clean")
    assert variables(connected, "clean")[0] is None
    assert not state.exists()


def test_a_worker_with_another_folder_fails_and_loses_nothing(
    connected: Airflow,
    database: Database,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The message names the option. On the first worker the sync goes on as before."""
    database.execute(f"{TABLE}; INSERT INTO people VALUES ('w1', '{BAD}')")
    connected.write("syncs/workers.yaml", retrying("workers"))
    connected.run("customerio.production.workers")
    before = variables(connected, "workers")
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__STATE_URL", f"file://{state.with_name('other')}")
    other = connected.run("customerio.production.workers")
    assert (other.state, connected.summary(other)["status"]) == ("failed", "Failed")
    assert "Set state_url to a folder that all workers share" in capfd.readouterr().out
    assert variables(connected, "workers") == before
    database.execute("UPDATE people SET v = 'good'")
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__STATE_URL", f"file://{state}")
    summary = connected.summary(connected.run("customerio.production.workers"))
    assert (summary["status"], summary["rows_imported"]) == ("Completed", 1)


@pytest.mark.parametrize("how", ["full_refresh", "reset"])
def test_sending_everything_again_needs_no_state(
    connected: Airflow, database: Database, state: Path, how: str
) -> None:
    """A lost folder is repaired by a full refresh, or by the last sync time 0."""
    database.execute(f"{TABLE}; INSERT INTO people VALUES ('e1', 'good'), ('e2', '{BAD}')")
    name = f"everything_{how}"
    connected.write(f"syncs/{name}.yaml", retrying(name))
    connected.run(f"customerio.production.{name}")
    (file,) = (state / "production" / name).iterdir()
    file.unlink()
    assert connected.run(f"customerio.production.{name}").state == "failed"
    conf = {"full_refresh": True} if how == "full_refresh" else {}
    if not conf:
        connected.set_variable(f"customerio.production.{name}.last_sync_time", "0")
    summary = connected.summary(connected.run(f"customerio.production.{name}", **conf))
    assert (summary["rows_read"], summary["rows_newly_failed"]) == (2, 1)
    summary = connected.summary(connected.run(f"customerio.production.{name}"))
    assert (summary["rows_read"], summary["rows_newly_failed"], summary["most_tries"]) == (1, 0, 2)


@pytest.mark.parametrize(
    ("generation", "content"),
    [
        ("../../../etc/passwd", None),
        ("0" * 32, b"{"),
        ("0" * 32, b'{"generation": "11111111111111111111111111111111", "rows": []}'),
    ],
)
def test_state_that_no_sync_wrote_fails_the_run(
    connected: Airflow, database: Database, state: Path, generation: str, content: bytes | None
) -> None:
    """A file that is broken or of another sync is never taken for an empty one."""
    database.execute(TABLE)
    connected.write("syncs/foreign.yaml", retrying("foreign"))
    connected.set_variable("customerio.production.foreign.last_sync_time", "5")
    connected.set_variable("customerio.production.foreign.failed_rows", generation)
    if content:
        (state / "production" / "foreign").mkdir(parents=True)
        (state / "production" / "foreign" / f"failed_rows-{generation}.json").write_bytes(content)
    assert connected.run("customerio.production.foreign").state == "failed"
    assert variables(connected, "foreign") == (generation, "5")


def test_a_store_that_cannot_be_written_keeps_the_last_sync_time(
    connected: Airflow, database: Database, state: Path
) -> None:
    """The failed rows would be lost otherwise."""
    database.execute(f"{TABLE}; INSERT INTO people VALUES ('s1', '{BAD}')")
    connected.write("syncs/unwritable.yaml", retrying("unwritable"))
    state.write_text("a file where the folder is expected")
    assert connected.run("customerio.production.unwritable").state == "failed"
    assert variables(connected, "unwritable") == (None, None)


def test_a_dry_run_reads_failed_rows_and_remembers_nothing(connected: Airflow, database: Database) -> None:
    """It checks what the next run would send."""
    database.execute(f"{TABLE}; INSERT INTO people VALUES ('d1', '{BAD}')")
    connected.write("syncs/dry_retry.yaml", retrying("dry_retry"))
    connected.run("customerio.production.dry_retry")
    before = variables(connected, "dry_retry")
    summary = connected.summary(connected.run("customerio.production.dry_retry", dry_run=True))
    assert (summary["rows_read"], variables(connected, "dry_retry")) == (1, before)


def test_a_limit_is_refused(
    connected: Airflow, database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    """Failed rows could be beyond it. A spec names the line, and the operator fails before it reads a row."""
    database.execute(TABLE)
    connected.write("syncs/limited.yaml", retrying("limited", f"{QUERY} LIMIT 5"))
    (dag_id,) = connected.dags()
    assert "LIMIT cannot be used with failed_rows: retry" in (connected.dags()[dag_id].doc_md or "")
    connected.write("syncs/limited.yaml", spec("other"))
    connected.write(
        "own_retry.py",
        "from airflow.sdk import DAG\n"
        "from airflow_provider_cio.operators.sync import CustomerIOSyncOperator\n"
        "with DAG('own_retry'):\n"
        "    CustomerIOSyncOperator(task_id='sync', workspace='production', sync_name='own_retry',\n"
        "        postgres_conn_id='warehouse', failed_rows='retry',\n"
        "        people_query='SELECT 1 AS id\\nFETCH FIRST 1 ROW ONLY')\n",
    )
    assert connected.run("own_retry").state == "failed"
    expected = "people_query, line 2: FETCH cannot be used with failed_rows: retry"
    assert expected in capfd.readouterr().out


def test_another_value_of_the_argument_is_refused() -> None:
    """The message lists what is allowed."""
    with pytest.raises(ArgumentError, match="failed_rows='skip' is not valid: use hold or retry"):
        CustomerIOSyncOperator(
            task_id="sync",
            workspace="w",
            sync_name="s",
            people_query="SELECT 1 AS id",
            failed_rows="skip",  # type: ignore[arg-type]
        )
