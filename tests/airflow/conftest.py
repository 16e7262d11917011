"""An Airflow in this process, whose DAGs run with `dag.test()`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.emulator.process import EmulatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.models.dagrun import DagRun

    from local.postgres import LocalPostgres
    from tests.conftest import Database

    Typed = Callable[..., subprocess.CompletedProcess[str]]

_HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
_DAGS = _HOME / "dags"

# Airflow reads these variables when the test modules import it.
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(_DAGS),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY="1",
    AIRFLOW__CORE__FERNET_KEY="",  # otherwise each process generates its own key
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME / 'airflow.db'}",
    AIRFLOW__CUSTOMERIO__RETRY_FOR="3",
    AIRFLOW__CUSTOMERIO__APPLY_WAIT="0",
)


@pytest.fixture(scope="session")
def _metadata() -> Iterator[None]:
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)
    yield
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    """Return a workspace that all tests share."""
    with EmulatorProcess(faults=True) as process:
        yield process


class Airflow:
    """An Airflow: its DAG folder, connections, Variables, pools and runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def connect(self, name: str, **fields: Any) -> None:
        """Define a connection in the environment."""
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))

    def write(self, name: str, text: str) -> None:
        """Write a text file to the DAG folder."""
        self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file with any content to the DAG folder."""
        path = _DAGS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def dags(self) -> dict[str, Any]:
        """Parse the DAG folder as Airflow does, and return its DAGs by id."""
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(dag_folder=str(_DAGS))
        assert not bag.import_errors
        return dict(bag.dags)

    def run(self, dag_id: str, **conf: Any) -> DagRun:
        """Run a DAG to its end, and return the run."""
        run: DagRun = self.dags()[dag_id].test(run_conf=conf)
        return run

    def summary(self, run: DagRun) -> dict[str, Any]:
        """Return the XCom summary of a run, which a failed run has too."""
        (task,) = run.get_task_instances()
        summary: dict[str, Any] = task.xcom_pull(task_ids="sync", key="summary")
        return summary

    def rendered_query(self, run: DagRun) -> str:
        """Return the query that the Rendered Template tab shows."""
        from airflow.models.renderedtifields import RenderedTaskInstanceFields

        (task,) = run.get_task_instances()
        fields = RenderedTaskInstanceFields.get_templated_fields(task)
        return str(fields["people_query"]) if fields else ""

    def variable(self, key: str) -> str | None:
        """Return the value of a Variable, or None if it does not exist."""
        from airflow.models import Variable

        value: str | None = Variable.get(key, default_var=None)  # noqa: AIR311 - the SDK's class works in tasks only
        return value

    def set_variable(self, key: str, value: str) -> None:
        """Set a Variable, as a user does in the UI."""
        from airflow.models import Variable

        Variable.set(key, value)  # noqa: AIR311

    def pool(self, name: str) -> dict[str, Any]:
        """Return the settings of a pool."""
        from airflow.models import Pool

        pool = Pool.get_pool(name)
        assert pool
        return {"slots": pool.slots, "include_deferred": pool.include_deferred}

    def set_slots(self, name: str, slots: int) -> None:
        """Set the number of slots of a pool, as a user does in the UI."""
        from airflow.models import Pool

        Pool.create_or_update_pool(name, slots, "changed", include_deferred=True)


FACTORY = """\
from pathlib import Path
from airflow_provider_cio.dag_factory import build_dags
globals().update(build_dags(Path(__file__).parent / "syncs"))
"""


@pytest.fixture
def airflow(_metadata: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    """Return an Airflow with a DAG factory and no specs."""
    (_DAGS / "syncs").mkdir(parents=True)
    airflow = Airflow(monkeypatch)
    airflow.write("customerio_syncs.py", FACTORY)
    yield airflow
    shutil.rmtree(_DAGS)


@pytest.fixture
def connected(
    airflow: Airflow, postgres: LocalPostgres, database: Database, emulator: EmulatorProcess
) -> Airflow:
    """Return that Airflow with connections to the database of the test and to the workspace."""
    airflow.connect("warehouse", **{**postgres.airflow_connection(), "schema": database.name})
    airflow.connect(
        "customerio_production",
        conn_type="customerio",
        login=emulator.site_id,
        password=emulator.api_key,
        host=emulator.url,
    )
    return airflow


def airflow_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `airflow` with these arguments."""
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Return a function that does the same in this process: each start of Airflow takes seconds."""
    from airflow.__main__ import main

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["airflow", *arguments])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            if isinstance(end.code, str):
                sys.stderr.write(end.code)  # as Python does
            code = end.code if isinstance(end.code, int) else 1
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run
