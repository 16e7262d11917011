"""`airflow customerio status`: the state of each sync, as Airflow's database has it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.conftest import airflow_command
from tests.airflow.test_sync import spec

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow, Typed

BAD = "SELECT 'one' AS id, 'a@example.com' AS email UNION ALL SELECT 'two', 'no address'"


def statuses(typed: Typed, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the state of each sync by its name."""
    done = typed("customerio", "status", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return {each["sync"]: each for each in json.loads(done.stdout)}


def test_each_sync_has_its_last_run_and_its_last_sync_time(connected: Airflow, typed: Typed) -> None:
    """Completed, failed rows, a dry run, a run that could not read, and a wrong Variable."""
    names = {"done": "SELECT 'one' AS id", "rows": BAD, "dry": BAD, "none": "SELECT id FROM nowhere"}
    for name, query in names.items():
        connected.write(f"syncs/{name}.yaml", spec(name, query) + "schedule: '@daily'\n")
        connected.run(f"customerio.production.{name}", dry_run=name == "dry")
    connected.run("customerio.production.rows", dry_run=True)
    connected.set_variable("customerio.production.none.last_sync_time", "yesterday")
    found = statuses(typed, "--workspace", "production")
    states = {name: found[name]["state"] for name in names}
    assert states == {
        "done": "Completed",
        "rows": "Some rows failed",
        "dry": "Some rows failed",
        "none": "Failed",
    }
    done = found["done"]
    assert (done["dag_id"], done["workspace"], done["schedule"]) == (
        "customerio.production.done",
        "production",
        "0 0 * * *",
    )
    assert (done["last_run"]["rows_read"], done["last_run"]["rows_imported"]) == (1, 1)
    assert done["failing_rows"] == 0
    assert done["last_sync_time"] <= time.time()
    assert done["last_sync_at"].endswith("+00:00")
    assert 0 <= done["last_sync_age"] < 3600
    rows = found["rows"]
    assert (rows["failing_rows"], rows["last_sync_time"], rows["last_sync_at"]) == (1, 0, None)
    assert (rows["last_run"]["dry_run"], rows["last_run"]["rows_failed"]) == (True, 1)
    assert found["dry"]["failing_rows"] == 0  # it sent nothing
    assert (found["none"]["last_sync_time"], found["none"]["last_run"]["rows_read"]) == (None, 0)


def test_the_table_is_for_people(connected: Airflow) -> None:
    """Typed in a shell. Dates have their age, and a paused sync has no next run."""
    connected.write("syncs/table.yaml", spec("table", "SELECT 'one' AS id"))
    connected.run("customerio.production.table")
    done = airflow_command("customerio", "status")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "production.table" in line)
    assert "Completed" in line
    assert "s ago)" in line


@pytest.mark.usefixtures("airflow")
def test_no_sync_is_not_a_success(typed: Typed) -> None:
    """A workspace that is misspelled gives exit status 2."""
    done = typed("customerio", "status", "--workspace", "prodution")
    assert done.returncode == 2
    assert "Airflow has no sync in workspace prodution" in done.stderr
