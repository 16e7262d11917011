"""The last sync time of a sync: a Variable that a run sets and that users can edit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local.processes import wait_until
from tests.airflow.test_sync import spec

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.process import EmulatorProcess
    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

ONE = "SELECT 'one' AS id, {{ last_sync_time }} AS since"


def key(name: str) -> str:
    """Return the key of the Variable of a sync."""
    return f"customerio.production.{name}.last_sync_time"


def test_a_full_refresh_stores_the_next_last_sync_time(connected: Airflow) -> None:
    """The run after a full refresh starts at the stored time, and not at 0."""
    connected.write("syncs/moved.yaml", spec("moved", ONE))
    connected.set_variable(key("moved"), "5")
    summary = connected.summary(connected.run("customerio.production.moved", full_refresh=True))
    assert summary["last_sync_time"] == 0
    assert connected.variable(key("moved")) == str(summary["next_last_sync_time"]) != "5"


def test_a_full_refresh_with_rejections_does_not_change_the_last_sync_time(connected: Airflow) -> None:
    """The Variable keeps its value from before the full refresh."""
    connected.write("syncs/kept.yaml", spec("kept", "SELECT NULL AS id"))
    connected.set_variable(key("kept"), "5")
    assert connected.run("customerio.production.kept", full_refresh=True).state == "failed"
    assert connected.variable(key("kept")) == "5"


def test_a_value_that_a_user_sets_during_a_run_stays(
    connected: Airflow, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of a run does not overwrite a reset that was made during the run."""
    connected.write(
        "syncs/reset.yaml", spec("reset", "SELECT 'reset' AS id FROM pg_advisory_xact_lock_shared(1)")
    )
    database.execute("SELECT pg_advisory_lock(1)")  # the query waits until the user has reset the Variable
    connected.set_variable(key("reset"), "5")

    def is_running() -> bool:
        query = "SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
        return bool(database.connection.execute(query).fetchall())

    def reset() -> None:
        wait_until(is_running, what="The run's query", seconds=60)
        connected.set_variable(key("reset"), "0")
        database.execute("SELECT pg_advisory_unlock(1)")

    user = threading.Thread(target=reset)
    user.start()
    assert connected.run("customerio.production.reset").state == "success"
    user.join()
    assert connected.variable(key("reset")) == "0"
    assert f"The Variable {key('reset')} was changed to 0 during the run" in caplog.text


def test_a_value_that_is_not_a_number_fails_the_run_at_once(
    connected: Airflow, capfd: pytest.CaptureFixture[str]
) -> None:
    """The message has the key of the Variable, so that users find it on the Variables page."""
    connected.write("syncs/words.yaml", spec("words", ONE).replace("retries: 0", "retries: 5"))
    connected.set_variable(key("words"), "yesterday")
    run = connected.run("customerio.production.words")
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)
    assert (
        f"The Variable {key('words')} is 'yesterday', which is not a number of Unix seconds"
        in capfd.readouterr().out
    )


def test_a_value_that_takes_precedence_is_logged(
    connected: Airflow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A value in the environment takes precedence over the stored one. The log has a warning about it."""
    monkeypatch.setenv(f"AIRFLOW_VAR_{key('shadowed').upper()}", "7")
    connected.write("syncs/shadowed.yaml", spec("shadowed", ONE))
    summary = connected.summary(connected.run("customerio.production.shadowed"))
    assert summary["last_sync_time"] == 7
    assert (
        f"The Variable {key('shadowed')} is also set in the environment or in a secrets backend"
        in caplog.text
    )


def test_damaged_windows_are_replaced(connected: Airflow, caplog: pytest.LogCaptureFixture) -> None:
    """A run with a Variable that is not JSON succeeds, and replaces the Variable."""
    windows = "customerio.production.windows"
    connected.set_variable(windows, "{not JSON")
    connected.write("syncs/spoilt.yaml", spec("spoilt", ONE))
    assert connected.run("customerio.production.spoilt").state == "success"
    assert f"The Variable {windows} does not hold what a sync wrote" in caplog.text
    assert '"sync":"spoilt"' in (connected.variable(windows) or "")


def test_a_rejected_row_is_tried_again_by_the_next_run(connected: Airflow, database: Database) -> None:
    """The row is read again even if it has not changed, because the last sync time has not moved."""
    database.execute(
        "CREATE TABLE t AS SELECT 'tried' || n AS id, 'v' AS v, now() - interval '1h' AS updated_at"
        " FROM generate_series(1, 3) n; UPDATE t SET v = repeat('x', 1001) WHERE id = 'tried2'"
    )
    query = "SELECT id, v FROM t WHERE extract(epoch FROM updated_at) >= {{ last_sync_time }}"
    connected.write("syncs/tried.yaml", spec("tried", query))
    for _ in range(2):
        summary = connected.summary(connected.run("customerio.production.tried"))
        assert summary["queries"]["people"] == {"read": 3, "imported": 2, "failed": 1}
    database.execute("UPDATE t SET v = 'fixed'")
    summary = connected.summary(connected.run("customerio.production.tried"))
    assert summary["queries"]["people"] == {"read": 3, "imported": 3, "failed": 0}
    summary = connected.summary(connected.run("customerio.production.tried"))
    assert summary["queries"]["people"]["read"] == 0


def test_a_run_that_ends_early_loses_no_row(
    connected: Airflow, database: Database, emulator: EmulatorProcess
) -> None:
    """Rows without a verdict do not count as imported, and the next run starts at the same time."""
    database.execute(
        "CREATE TABLE t AS SELECT 'broken' || n AS id, now() - interval '1h' AS updated_at"
        " FROM generate_series(1, 3) n"
    )
    query = "SELECT id FROM t WHERE extract(epoch FROM updated_at) >= {{ last_sync_time }}"
    connected.write("syncs/broken_off.yaml", spec("broken_off", query))
    requests.post(f"{emulator.url}/_faults", json={"rate": 1, "kinds": ["503"]}, timeout=5).raise_for_status()
    try:
        run = connected.run("customerio.production.broken_off")
    finally:
        requests.delete(f"{emulator.url}/_faults", timeout=5)
    summary = connected.summary(run)
    assert (run.state, summary["status"]) == ("failed", "Failed")
    assert summary["queries"]["people"] == {"read": 3, "imported": 0, "failed": 0}
    assert connected.variable(key("broken_off")) is None
    summary = connected.summary(connected.run("customerio.production.broken_off"))
    assert summary["queries"]["people"]["imported"] == 3


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("1e9", "'1e9', which is not a number of Unix seconds"),
        ("٣", "'٣', which is not a number of Unix seconds"),
        ("1_000", "'1_000', which is not a number of Unix seconds"),
        ("1795491784.5", "'1795491784.5', which is not a number of Unix seconds"),
        ("0x10", "'0x10', which is not a number of Unix seconds"),
        ("+5", "'+5', which is not a number of Unix seconds"),
        ("", "'', which is not a number of Unix seconds"),
        ("None", "'None', which is not a number of Unix seconds"),
        ("true", "'true', which is not a number of Unix seconds"),
        ('{"a": 1}', "'{\"a\": 1}', which is not a number of Unix seconds"),
        ("2026-01-01T00:00:00Z", "'2026-01-01T00:00:00Z', which is not a number of Unix seconds"),
        ("1" + "0" * 400, "'10000000000000000000…', which is not a number of Unix seconds"),
        ("-1", "-1, which is before 1970"),
        ("1795491784000", "1795491784000, which is in the future (is it in milliseconds?)"),
    ],
)
def test_other_spellings_are_refused(
    connected: Airflow, capfd: pytest.CaptureFixture[str], typed: str, what: str
) -> None:
    """A value in another format is not interpreted. The message has the key and the valid values."""
    connected.write("syncs/spelled.yaml", spec("spelled", ONE).replace("retries: 0", "retries: 5"))
    connected.set_variable(key("spelled"), typed)
    run = connected.run("customerio.production.spelled")
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)
    assert connected.summary(run)["status"] == "Failed"
    out = capfd.readouterr().out
    assert f"The Variable {key('spelled')} is {what}" in out
    assert "Set it to Unix seconds, or to 0 to send everything again." in out
    assert connected.variable(key("spelled")) == typed


def test_spaces_around_the_value_are_ignored(connected: Airflow) -> None:
    """A copied value can have spaces, and some secrets backends add a newline."""
    connected.write("syncs/spaces.yaml", spec("spaces", ONE))
    connected.set_variable(key("spaces"), " 5\n")
    assert connected.summary(connected.run("customerio.production.spaces"))["last_sync_time"] == 5


def test_a_variable_that_airflow_cannot_read_does_not_count_as_0(
    connected: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow hides the failure to read it. The run fails, and its retry uses the stored value."""
    from airflow.models import Variable
    from sqlalchemy.exc import OperationalError

    connected.write("syncs/hidden.yaml", spec("hidden", ONE).replace("retries: 0", "retries: 1"))
    connected.set_variable(key("hidden"), "5")
    read, failures = Variable.get_variable_from_secrets, iter([True])  # noqa: AIR311

    def fail_once(*args: Any, **kwargs: Any) -> Any:
        if key("hidden") in {*args, *kwargs.values()} and next(failures, False):
            raise OperationalError("SELECT", {}, Exception("the database went away"))
        return read(*args, **kwargs)

    monkeypatch.setattr(Variable, "get_variable_from_secrets", fail_once)  # noqa: AIR311
    run = connected.run("customerio.production.hidden")
    assert (run.state, run.get_task_instances()[0].try_number) == ("success", 2)
    assert connected.summary(run)["last_sync_time"] == 5
