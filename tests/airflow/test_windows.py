"""What a workspace remembers of its runs, and which scheduled runs it skips."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow

KEY = "customerio.production.windows"
#: A run that `dag.test` makes is a manual one; the hook makes it look like one of the scheduler.
DAG = """\
from airflow.sdk import DAG
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

def pretend(context):
    context["dag_run"].run_type = "scheduled"

with DAG("skipping", schedule=None):
    CustomerIOSyncOperator(
        task_id="sync", workspace="production", sync_name="skipping", postgres_conn_id="warehouse",
        people_query="SELECT 'skip1' AS id", pre_execute=pretend,
    )
"""


def at(minutes: float) -> str:
    """Stand for a time, in minutes from the moment at which the Variable is set."""
    return f"@{minutes}@"


def _time(placeholder: re.Match[str]) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=float(placeholder[1]))).isoformat()


def window(start: float = -10, end: float = -0.05, **changes: Any) -> dict[str, Any]:
    """Describe the run of another sync, by minutes from now."""
    return {"sync": "other", "due": at(-10), "start": at(start), "end": at(end), **changes}


class Workspace:
    """A workspace in which a sync becomes due."""

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow
        airflow.write("skipping.py", DAG)

    def remember(self, memory: object) -> None:
        """Write the Variable, as a run or a person does."""
        text = memory if isinstance(memory, str) else json.dumps(memory)
        self._airflow.set_variable(KEY, re.sub("@(.*?)@", _time, text))

    def memory(self) -> dict[str, Any]:
        """Read the Variable."""
        memory: dict[str, Any] = json.loads(self._airflow.variable(KEY) or "{}")
        return memory

    def run(self) -> str:
        """Run the sync as if it had been due five minutes ago, and return its status."""
        due = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
        run = self._airflow.dags()["skipping"].test(run_after=due, logical_date=due)
        status: str = self._airflow.summary(run)["status"]
        return status


@pytest.fixture
def workspace(connected: Airflow) -> Workspace:
    """Give that workspace."""
    return Workspace(connected)


def test_a_sync_that_was_skipped_three_times_in_a_row_runs(workspace: Workspace) -> None:
    """Then it counts from the beginning; a run of another sync changes nothing about it."""
    statuses = []
    for _ in range(9):
        memory = workspace.memory()
        workspace.remember({**memory, "windows": [window()]})
        statuses.append(workspace.run())
    assert statuses == [*["Skipped"] * 3, "Completed"] * 2 + ["Skipped"]
    assert workspace.memory()["skipped"] == {"skipping": 1}


def test_a_run_that_was_not_skipped_ends_the_row(workspace: Workspace) -> None:
    """Only Skipped runs in a row count."""
    workspace.remember({"windows": [window()], "skipped": {"skipping": 2, "other": 1}})
    assert workspace.run() == "Skipped"
    workspace.remember({"windows": [], "skipped": {"skipping": 3, "other": 1}})
    assert workspace.run() == "Completed"
    memory = workspace.memory()
    assert memory["skipped"] == {"other": 1}
    assert [each["sync"] for each in memory["windows"]] == ["skipping"]


def test_the_form_of_earlier_versions_is_read(workspace: Workspace) -> None:
    """A list of windows without counts still skips."""
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
def test_what_somebody_damaged_fails_no_run(workspace: Workspace, memory: object, status: str) -> None:
    """What can be used is used; afterwards the Variable is right again, and of bounded size."""
    workspace.remember(memory)
    assert workspace.run() == status
    assert set(workspace.memory()) == {"windows", "skipped"}
    assert len(json.dumps(workspace.memory())) < 100_000
