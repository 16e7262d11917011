"""The stored windows of a workspace, and the scheduled runs that are skipped."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow

KEY = "customerio.production.windows"
#: `dag.test` creates manual runs. The hook `pre_execute` turns them into scheduled runs.
DAG = """\
from airflow.sdk import DAG
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

def set_run_type(context):
    context["dag_run"].run_type = "scheduled"

with DAG("skipping", schedule=None):
    CustomerIOSyncOperator(
        task_id="sync", workspace="production", sync_name="skipping", postgres_conn_id="warehouse",
        people_query="SELECT 'skip1' AS id", pre_execute=set_run_type,
    )
"""


def at(minutes: float) -> str:
    """Return a placeholder for a time, in minutes from the time when the Variable is set."""
    return f"@{minutes}@"


def _time(placeholder: re.Match[str]) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=float(placeholder[1]))).isoformat()


def window(start: float = -10, end: float = -0.05, **changes: Any) -> dict[str, Any]:
    """Return the stored window of another sync, whose times are minutes from now."""
    return {"sync": "other", "due": at(-10), "start": at(start), "end": at(end), **changes}


class Workspace:
    """A workspace with a sync that was due five minutes ago."""

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow
        airflow.write("skipping.py", DAG)

    def remember(self, memory: object) -> None:
        """Set the Variable, as a run or a user does."""
        text = memory if isinstance(memory, str) else json.dumps(memory)
        self._airflow.set_variable(KEY, re.sub("@(.*?)@", _time, text))

    def memory(self) -> dict[str, Any]:
        """Return the decoded value of the Variable."""
        memory: dict[str, Any] = json.loads(self._airflow.variable(KEY) or "{}")
        return memory

    def run(self) -> str:
        """Run the sync, and return its status."""
        due = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
        run = self._airflow.dags()["skipping"].test(run_after=due, logical_date=due)
        status: str = self._airflow.summary(run)["status"]
        return status


@pytest.fixture
def workspace(connected: Airflow) -> Workspace:
    """Return a workspace without windows."""
    return Workspace(connected)


def test_a_sync_that_was_skipped_three_times_in_a_row_runs(workspace: Workspace) -> None:
    """Afterwards the count starts at 0 again. Runs of other syncs do not change it."""
    statuses = []
    for _ in range(9):
        memory = workspace.memory()
        workspace.remember({**memory, "windows": [window()]})
        statuses.append(workspace.run())
    assert statuses == [*["Skipped"] * 3, "Completed"] * 2 + ["Skipped"]
    assert workspace.memory()["skipped"] == {"skipping": 1}


def test_a_run_that_is_not_skipped_resets_the_count(workspace: Workspace) -> None:
    """Only consecutive Skipped runs count."""
    workspace.remember({"windows": [window()], "skipped": {"skipping": 2, "other": 1}})
    assert workspace.run() == "Skipped"
    workspace.remember({"windows": [], "skipped": {"skipping": 3, "other": 1}})
    assert workspace.run() == "Completed"
    memory = workspace.memory()
    assert memory["skipped"] == {"other": 1}
    assert [each["sync"] for each in memory["windows"]] == ["skipping"]


def test_the_format_of_earlier_versions_is_read(workspace: Workspace) -> None:
    """A run is skipped because of a list of windows without counts."""
    workspace.remember([window()])
    assert workspace.run() == "Skipped"
    assert workspace.memory()["skipped"] == {"skipping": 1}


@pytest.mark.parametrize(
    ("memory", "status"),
    [
        ("", "Completed"),
        ("{not JSON", "Completed"),
        ("null", "Completed"),
        ("7", "Completed"),
        ('"windows"', "Completed"),
        ("[" * 5000, "Completed"),
        ('{"windows": ' + "[" * 5000, "Completed"),
        ('{"x": ' + '{"y": ' * 5000, "Completed"),
        ({"windows": None}, "Completed"),
        ({"windows": [None]}, "Completed"),
        ({"windows": [{"sync": "other"}]}, "Completed"),
        ({"windows": [window(start=-10, due="2026-01-01T00:00:00")]}, "Completed"),  # no time zone
        ({"windows": [window(end=60)]}, "Completed"),  # in the future
        ({"windows": [window() | {"end": "9999-12-31T23:59:59.999999-23:59"}]}, "Completed"),
        ({"windows": [window() | {"start": "0001-01-01T00:00:00+23:59"}]}, "Skipped"),
        ({"windows": [window() | {"due": "9999-12-31T23:59:59-23:59"}]}, "Completed"),
        ({"windows": [window() | {"end": 7}]}, "Completed"),
        ({"windows": [window()], "skipped": {"skipping": 10**400}}, "Skipped"),
        ({"windows": [window()], "skipped": {"skipping": -5}}, "Skipped"),
        ({"windows": [window()], "skipped": {"skipping": 99}}, "Skipped"),
        ({"windows": [window()], "skipped": ["skipping"]}, "Completed"),
        ({"windows": [window()] * 20_000, "skipped": {f"s{n}": 1 for n in range(20_000)}}, "Skipped"),
    ],
)
def test_a_damaged_variable_does_not_fail_a_run(workspace: Workspace, memory: object, status: str) -> None:
    """Valid parts are used. Afterwards the Variable is valid and of bounded size."""
    workspace.remember(memory)
    assert workspace.run() == status
    assert set(workspace.memory()) == {"windows", "skipped"}
    assert len(json.dumps(workspace.memory())) < 100_000
