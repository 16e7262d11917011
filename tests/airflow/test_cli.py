"""`airflow customerio`, typed as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.airflow.conftest import Airflow

GOOD = "name: a\nworkspace: production\npostgres_conn_id: warehouse\npeople:\n  query: SELECT 1 AS id\n"


def airflow_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `airflow` with these arguments."""
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_validate_accepts_good_specs_and_names_file_and_line_of_a_wrong_key(tmp_path: Path) -> None:
    """Exit status 0 and 1; nothing but the folder is needed."""
    (tmp_path / "good.yaml").write_text(GOOD)
    done = airflow_command("customerio", "validate", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "1 spec is valid\n")
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD + "shedule: '* * * * *'\n")
    done = airflow_command("customerio", "validate", str(tmp_path))
    assert done.returncode == 1
    assert f"{bad}:6: shedule is no key of a spec: did you mean schedule?" in done.stderr


def test_validate_says_so_when_there_are_no_specs(tmp_path: Path) -> None:
    """A mistyped folder is no success."""
    done = airflow_command("customerio", "validate", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "nowhere" in done.stderr


def test_schema_is_json_schema(airflow: Airflow) -> None:  # noqa: ARG001 - an Airflow has to be there
    """Editors get every key of a spec."""
    schema = json.loads(airflow_command("customerio", "schema").stdout)
    assert {"name", "workspace", "people", "schedule"} <= set(schema["properties"])


def test_pools_are_created_once_and_left_alone_then(airflow: Airflow, tmp_path: Path) -> None:
    """One slot for each workspace; a pool that is there stays as somebody set it."""
    from airflow_provider_cio.pools import create_pools

    (tmp_path / "spec.yaml").write_text(GOOD.replace("production", "pooled"))
    done = airflow_command("customerio", "pools", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "created customerio.pooled\n")
    assert airflow.pool("customerio.pooled") == {"slots": 1, "include_deferred": True}
    airflow.set_slots("customerio.pooled", 0)
    assert create_pools({"customerio.pooled"}) == []
    assert airflow.pool("customerio.pooled")["slots"] == 0


def test_reset_starts_a_sync_again(airflow: Airflow) -> None:
    """The last sync time becomes 0; a name that does not exist is an error."""
    key = "customerio.production.again.last_sync_time"
    airflow.set_variable(key, "1795491784")
    assert airflow_command("customerio", "reset", "production", "again").returncode == 0
    assert airflow.variable(key) == "0"
    assert airflow_command("customerio", "reset", "production", "agian").returncode == 1


def test_airflow_knows_the_provider() -> None:
    """Its form, its settings and its plugin are found through the entry points."""
    assert "airflow-provider-cio" in airflow_command("providers", "get", "airflow-provider-cio").stdout
    assert "customerio" in airflow_command("providers", "hooks").stdout
    assert "customerio" in airflow_command("plugins").stdout
    assert airflow_command("config", "get-value", "customerio", "request_timeout").stdout == "60\n"
