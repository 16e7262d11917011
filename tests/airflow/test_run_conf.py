"""The conf of a run: an unknown key or a wrong value fails the run before a row is read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.exceptions import DagRunTypeNotAllowed
from airflow.sdk.exceptions import AirflowFailException

from tests.airflow.test_sync import spec

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow, Typed

#: A hand-written DAG does not declare the switches as params, so Airflow does not check them.
BY_HAND = """\
from airflow.sdk import DAG, Param
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

with DAG("by_hand", schedule=None, params={{"country": Param("DE"), **{params}}}):
    CustomerIOSyncOperator(
        task_id="sync", workspace="production", sync_name="by_hand", postgres_conn_id="warehouse", retries=5,
        people_query="SELECT 'conf1' AS id, '{{{{ params.country }}}}' AS country", params={{"plan": "pro"}},
    )
"""


def refused(airflow: Airflow, dag_id: str, capfd: pytest.CaptureFixture[str], **conf: Any) -> str:
    """Run a DAG, assert that its first try fails, and return its log."""
    capfd.readouterr()
    run = airflow.run(dag_id, **conf)
    summary = airflow.summary(run)
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)
    assert (summary["status"], summary["rows_read"], summary["requests"]) == ("Failed", 0, 0)
    return capfd.readouterr().out


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"dryrun": True}, "unknown key dryrun. Did you mean dry_run?"),
        ({"dry-run": True}, "unknown key dry-run. Did you mean dry_run?"),
        ({"DRY_RUN": True}, "unknown key DRY_RUN. Did you mean dry_run?"),
        ({" dry_run": True}, "unknown key  dry_run. Did you mean dry_run?"),
        ({"fullrefresh": False}, "unknown key fullrefresh. Did you mean full_refresh?"),
        ({"dry_run": True, "limit": 1}, "unknown key limit. Use only these: dry_run, full_refresh."),
        ({"": 1}, "unknown key ''. Use only these: dry_run, full_refresh."),
    ],
)
def test_an_unknown_key_is_refused(
    connected: Airflow, capfd: pytest.CaptureFixture[str], conf: dict[str, Any], message: str
) -> None:
    """The run fails without a retry, suggests a valid key, and has a summary."""
    connected.write("syncs/unknown_key.yaml", spec("unknown_key").replace("retries: 0", "retries: 5"))
    assert message in refused(connected, "customerio.production.unknown_key", capfd, **conf)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"dry_run": "true"}, "dry_run is text."),
        ({"dry_run": 1}, "dry_run is a number."),
        ({"dry_run": None}, "dry_run is null."),
        ({"full_refresh": [True]}, "full_refresh is a list."),
        ({"full_refresh": {"value": True}}, "full_refresh is an object."),
    ],
)
def test_a_switch_of_another_type_is_refused(
    connected: Airflow, capfd: pytest.CaptureFixture[str], conf: dict[str, Any], message: str
) -> None:
    """This holds where the DAG does not declare the switches, so that Airflow does not check their types."""
    connected.write("by_hand.py", BY_HAND.format(params={}))
    assert message in refused(connected, "by_hand", capfd, **conf)


def test_params_of_a_dag_are_valid_keys(connected: Airflow) -> None:
    """A DAG and its task can have other params, and the switches need no declaration."""
    connected.write("by_hand.py", BY_HAND.format(params={}))
    run = connected.run("by_hand", country="FR", plan="free", dry_run=True, openlineage={"parent": "x"})
    assert (run.state, connected.summary(run)["dry_run"]) == ("success", True)
    assert "'FR' AS country" in connected.rendered_query(run)


def test_a_param_with_a_wrong_default_is_refused(
    connected: Airflow, capfd: pytest.CaptureFixture[str]
) -> None:
    """A scheduled run has no conf and uses the defaults of the params."""
    connected.write("by_hand.py", BY_HAND.format(params={"dry_run": "yes"}))
    assert "dry_run is text." in refused(connected, "by_hand", capfd)


def test_a_conf_that_airflow_ignores_is_refused(
    connected: Airflow, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Airflow does not let a conf override params, a dry run would send every row."""
    monkeypatch.setenv("AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS", "False")
    connected.write("by_hand.py", BY_HAND.format(params={}))
    message = "The run conf sets dry_run, but [core] dag_run_conf_overrides_params = False ignores it"
    assert message in refused(connected, "by_hand", capfd, dry_run=True)


def test_a_backfill_is_refused(connected: Airflow, typed: Typed) -> None:
    """Airflow refuses it for the DAG of a spec, and the task refuses it in any other DAG."""
    connected.write("syncs/past.yaml", spec("past") + "schedule: '@daily'\n")
    connected.run("customerio.production.past")  # Airflow has the DAG then
    dates = ("--from-date", "2026-01-01", "--to-date", "2026-01-03")
    with pytest.raises(DagRunTypeNotAllowed, match="does not allow backfill runs"):
        typed("backfill", "create", "--dag-id", "customerio.production.past", *dates)
    connected.write("by_hand.py", BY_HAND.format(params={}))
    task = connected.dags()["by_hand"].get_task("sync")
    with pytest.raises(AirflowFailException, match="trigger a run with full_refresh"):
        task.render_template_fields({"dag_run": SimpleNamespace(run_type="backfill", conf={})})
