"""What a run writes for the pages: how far it has come, and why it failed."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.engine import Counts, Summary
from airflow_provider_cio.operators import progress
from airflow_provider_cio.operators.progress import PROGRESS_KEY, write_progress
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator
from airflow_provider_cio.plugin.summaries import Progress, parse_progress

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow

SPEC = """\
name: people
workspace: production
postgres_conn_id: nowhere
people:
  query: SELECT 'a' AS id
"""


class Store:
    """A task state store with an event for each write."""

    def __init__(self, error: Exception | None = None) -> None:
        self.values: list[dict[str, Any]] = []
        self.written = threading.Event()
        self._error = error

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Keep a value."""
        assert key == PROGRESS_KEY
        self.values.append(value)
        self.written.set()
        if self._error:
            raise self._error


def test_progress_is_written_while_the_run_goes_and_not_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """First as 0, which replaces the progress of an earlier try. The pages can read what is written."""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_WRITES", 0.01)
    monkeypatch.setattr(progress, "supervisor_connection", object)
    store, summary = Store(), Summary(0, queries={"people": Counts()})
    with write_progress({"task_state_store": store}, summary):  # type: ignore[typeddict-item]
        assert store.written.wait(30)
        summary.queries["people"] = Counts(read=9, imported=7, failed=1)
        for _ in range(3):
            store.written.clear()
            assert store.written.wait(30)
    assert store.values[0]["read"] == 0
    last = store.values[-1]
    assert (last["query"], last["read"], last["imported"], last["failed"]) == ("people", 9, 7, 1)
    assert last["rows_per_second"] > 0
    parsed = parse_progress(json.dumps(last))
    assert isinstance(parsed, Progress)
    assert parsed.imported == 7
    for thread in threading.enumerate():
        if thread.name == "customerio-progress":
            thread.join(30)
            assert not thread.is_alive()


def test_a_store_that_fails_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on without it. Before Airflow 3.3 there is no store at all."""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_WRITES", 0.01)
    monkeypatch.setattr(progress, "supervisor_connection", object)
    store = Store(RuntimeError("API server does not answer"))
    with write_progress({"task_state_store": store}, Summary(0)):  # type: ignore[typeddict-item]
        assert store.written.wait(30)
        for thread in threading.enumerate():
            if thread.name == "customerio-progress":
                thread.join(30)
    assert len(store.values) == 1
    with write_progress({}, Summary(0)):
        pass


def test_nothing_is_written_without_a_supervisor() -> None:
    """In `dag.test()`, a second thread that uses Airflow's API would break the run."""
    store = Store()
    with write_progress({"task_state_store": store}, Summary(0)):  # type: ignore[typeddict-item]
        assert not [each for each in threading.enumerate() if each.name == "customerio-progress"]
    assert not store.values


def test_the_summary_of_a_failed_run_has_the_reason(airflow: Airflow) -> None:
    """It is the sentence that ends the task's log, and other tasks can read it."""
    airflow.write("syncs/people.yaml", SPEC)
    airflow.connect("customerio_production", conn_type="customerio", login="site", password="key")
    summary = airflow.summary(airflow.run("customerio.production.people"))
    assert summary["status"] == "Failed"
    assert summary["reason"].startswith("The connection nowhere (postgres_conn_id) does not exist.")


@pytest.mark.parametrize(
    ("extra", "host", "expected"),
    [
        ({}, None, "https://fly.customer.io"),
        ({"region": "eu"}, None, "https://fly-eu.customer.io"),
        ({"region": "eu", "workspace_id": "7"}, None, "https://fly-eu.customer.io/env/7"),
        ({}, "http://127.0.0.1:1", ""),
    ],
)
def test_the_link_to_the_workspace_depends_on_its_region(
    airflow: Airflow, extra: dict[str, str], host: str | None, expected: str
) -> None:
    """An emulator or a proxy has no pages of Customer.io."""
    from airflow_provider_cio.operators.connections import workspace_url

    airflow.connect("customerio_x", conn_type="customerio", login="s", password="k", host=host, extra=extra)
    assert workspace_url("customerio_x") == expected


def test_airflow_keeps_the_ids_of_the_connections_and_no_other_argument() -> None:
    """The pages name a connection that does not exist."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("customerio.production.people", schedule=None) as dag:
        CustomerIOSyncOperator(
            task_id="sync",
            workspace="production",
            sync_name="people",
            people_query="SELECT 1 AS id",
            postgres_conn_id="warehouse",
            segment_id=7,
        )
    (task,) = DagSerialization.to_dict(dag)["dag"]["tasks"]
    fields = task["__var"]
    assert (fields["postgres_conn_id"], fields["customerio_conn_id"]) == (
        "warehouse",
        "customerio_production",
    )
    assert "segment_id" not in fields
