from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from local.airflow import LocalAirflow
from local.processes import LocalError, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAG_ID = "customerio.production.tiny"
DAG_FILE = f"""
import os, time
from airflow.sdk import BaseHook, Variable, dag, task

@dag(dag_id="{DAG_ID}", schedule=None, params={{"sleep": 0}})
def tiny():
    @task
    def sync(params, ti):
        print("Sleeping now")
        time.sleep(params["sleep"])
        Variable.set("tiny.last_sync_time", "17")
        host = BaseHook.get_connection("warehouse").host
        ti.xcom_push("summary", {{"host": host, "color": os.environ["COLOR"]}})

    sync()

tiny()
"""
BROKEN_FILE = "import airflow, no_such_module  # a dag"


def is_alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An Airflow with one DAG, a connection and a variable in its environment."""
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "tiny.py").write_text(DAG_FILE)
    (dags / "broken.py").write_text(BROKEN_FILE)
    local_airflow = LocalAirflow(
        folder / "home",
        dags_folder=dags,
        connections={"warehouse": {"conn_type": "postgres", "host": "db.example.com"}},
        environment={"COLOR": "teal"},
    )
    others = set(psutil.Process().children(recursive=True))  # of other tests
    with local_airflow:
        local_airflow.client.wait_for_dag(DAG_ID)
        local_airflow.client.unpause(DAG_ID)
        yield local_airflow
        processes = set(psutil.Process().children(recursive=True)) - others
    assert [process for process in processes if is_alive(process)] == []


def test_runs_a_dag(airflow: LocalAirflow) -> None:
    """A run has the given connections and environment. Its XCom, variable and log can be read."""
    client = airflow.client
    run = client.trigger(DAG_ID, {"sleep": 0.1})
    assert client.wait_for_run(DAG_ID, run) == "success"
    assert client.xcom(DAG_ID, run, "sync", "summary") == {"host": "db.example.com", "color": "teal"}
    assert client.xcom(DAG_ID, run, "sync", "nothing") is None
    assert "Sleeping now" in client.task_log(DAG_ID, run, "sync")
    assert [task["state"] for task in client.task_instances(DAG_ID, run)] == ["success"]
    assert client.variable("tiny.last_sync_time") == "17"
    assert client.variable("tiny") is None


def test_sets_variables(airflow: LocalAirflow) -> None:
    """A variable can be created and changed."""
    for value in ("1", "2"):
        airflow.client.set_variable("tiny.color", value)
        assert airflow.client.variable("tiny.color") == value


def test_finds_the_processes_of_running_tasks(airflow: LocalAirflow) -> None:
    """The process of a running task can be found and killed. The run then fails."""
    run = airflow.client.trigger(DAG_ID, {"sleep": 600})
    (process,) = wait_until(airflow.task_processes, what="The start of the task", seconds=180)
    os.kill(process.pid, signal.SIGKILL)
    assert airflow.client.wait_for_run(DAG_ID, run) == "failed"
    assert airflow.task_processes() == []


def test_waiting_for_a_broken_dag_raises_its_import_error(airflow: LocalAirflow) -> None:
    """Waiting for a DAG that cannot be imported ends with the import error."""
    with pytest.raises(LocalError, match="No module named 'no_such_module'"):
        airflow.client.wait_for_dag("broken", seconds=1)


def test_a_refused_request_raises_the_reason(airflow: LocalAirflow) -> None:
    """An error of the API names request, status and reason."""
    with pytest.raises(LocalError, match=r"POST /api/v2/dags/unknown/dagRuns: HTTP 404.*not found"):
        airflow.client.trigger("unknown")


def test_a_running_task_does_not_outlive_airflow(airflow: LocalAirflow) -> None:
    """Stopping the scheduler ends the tasks it runs."""
    airflow.client.trigger(DAG_ID, {"sleep": 600})
    (process,) = wait_until(airflow.task_processes, what="The start of the task", seconds=180)
    airflow.stop("scheduler")
    assert not is_alive(process)


def test_a_component_that_does_not_start_raises_its_log(tmp_path: Path) -> None:
    """The message names the component and quotes its log. The other components are stopped."""
    settings = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "nonsense://"}
    airflow = LocalAirflow(tmp_path / "home", dags_folder=tmp_path, environment=settings)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(LocalError, match=r"Airflow's [a-z-]+ ended with exit status 1(.|\n)*nonsense"):
        airflow.__enter__()
    assert [child for child in psutil.Process().children(recursive=True) if child not in before] == []
