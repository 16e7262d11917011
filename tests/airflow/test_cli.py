"""The commands of `airflow customerio`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tests.airflow.conftest import airflow_command
from tests.integration.conftest import LocalWorkspace

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_cio.emulator.process import EmulatorProcess
    from tests.airflow.conftest import Airflow, Typed
    from tests.conftest import Database

GOOD = "name: a\nworkspace: production\npostgres_conn_id: warehouse\npeople:\n  query: SELECT 1 AS id\n"


def test_validate_accepts_good_specs_and_names_file_and_line_of_a_wrong_key(
    typed: Typed, tmp_path: Path
) -> None:
    """The exit status is 0 or 1. The command needs nothing but the folder."""
    (tmp_path / "good.yaml").write_text(GOOD)
    done = airflow_command("customerio", "validate", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "1 spec is valid\n")
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD + "shedule: '* * * * *'\n")
    done = typed("customerio", "validate", str(tmp_path))
    assert done.returncode == 1
    assert f"{bad}:6:1: unknown key shedule: did you mean schedule?" in done.stderr


def test_validate_lists_the_mistakes_of_all_files(typed: Typed, tmp_path: Path) -> None:
    """Each mistake is listed once: as text with a caret, as an annotation of GitHub Actions, or as JSON."""
    (tmp_path / "defaults.yaml").write_text("retrys: 3\n")
    (tmp_path / "a.yaml").write_text(GOOD + "nulls: drop\n")
    (tmp_path / "b.yaml").write_text(GOOD.replace("name: a", "name: b"))
    done = typed("customerio", "validate", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "0 specs are valid, 2 files have mistakes\n")
    assert done.stderr == (
        f"{tmp_path}/a.yaml:6:8: nulls cannot be drop: allowed are remove, skip\n"
        "    6 | nulls: drop\n"
        "      |        ^^^^\n"
        f"{tmp_path}/defaults.yaml:1:1: unknown key retrys: did you mean retries?\n"
    )
    done = typed("customerio", "validate", str(tmp_path), "--format", "github")
    assert done.returncode == 1
    nulls, retries = done.stdout.splitlines()
    assert (
        nulls
        == f"::error file={tmp_path}/a.yaml,line=6,col=8::nulls cannot be drop: allowed are remove, skip"
    )
    assert retries.startswith(f"::error file={tmp_path}/defaults.yaml,line=1,col=1::unknown key retrys")
    done = typed("customerio", "validate", str(tmp_path), "--format", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["valid"] == []
    assert [(problem["line"], problem["column"]) for problem in found["faults"]] == [(6, 8), (1, 1)]


ADVISED = """\
name: password_resets
workspace: production
postgres_conn_id: warehouse
people:
  query: |
    SELECT id FROM people
    WHERE changed_on::date >= to_timestamp({{ last_sync_time }})
    LIMIT 500
"""


def test_validate_warns_about_probable_mistakes(typed: Typed, tmp_path: Path) -> None:
    """A limit or a date with the last sync time, or a name that Airflow masks, leaves the exit status 0."""
    (tmp_path / "a.yaml").write_text(ADVISED)
    (tmp_path / "b.yaml").write_text(
        ADVISED.replace("password_resets", "b").replace("{{ last_sync_time }}", "0")
    )
    done = typed("customerio", "validate", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "2 specs are valid\n")
    for head in (
        "a.yaml:1:7: warning: Airflow displays *** instead of the last sync time, because the name",
        "a.yaml:7:21: warning: a date is compared with a time of day",
        "a.yaml:8:5: warning: LIMIT together with last_sync_time loses the rows beyond it",
    ):
        assert f"{tmp_path}/{head}" in done.stderr
    assert done.stderr.count("warning") == 3
    done = typed("customerio", "validate", str(tmp_path), "--format", "json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert (len(found["valid"]), found["faults"]) == (2, [])
    assert [(each["line"], each["column"]) for each in found["warnings"]] == [(1, 7), (7, 21), (8, 5)]
    done = typed("customerio", "validate", str(tmp_path), "--format", "github")
    assert done.returncode == 0
    positions = [(1, 7), (7, 21), (8, 5)]
    lines = done.stdout.splitlines()
    assert len(lines) == len(positions)
    for line, (number, column) in zip(lines, positions, strict=True):
        assert line.startswith(f"::warning file={tmp_path}/a.yaml,line={number},col={column}::")


def test_validate_shows_what_specs_become(typed: Typed, tmp_path: Path) -> None:
    """`--show` prints each spec with its defaults."""
    (tmp_path / "defaults.yaml").write_text("owner: growth\n")
    (tmp_path / "a.yaml").write_text(GOOD)
    done = typed("customerio", "validate", str(tmp_path), "--show")
    assert done.returncode == 0
    assert f"# {tmp_path}/a.yaml\n# DAG customerio.production.a, pool customerio.production\n" in done.stdout
    assert "\nowner: growth\n" in done.stdout


def test_validate_fails_without_specs(typed: Typed, tmp_path: Path) -> None:
    """The exit status for a folder that does not exist is 2."""
    done = typed("customerio", "validate", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_schema_is_json_schema(typed: Typed, airflow: Airflow) -> None:  # noqa: ARG001 - the command needs Airflow
    """It has the keys of a spec, for editors."""
    schema = json.loads(typed("customerio", "schema").stdout)
    assert {"name", "workspace", "people", "schedule"} <= set(schema["properties"])


def test_pools_are_created_once_and_left_alone_then(typed: Typed, airflow: Airflow, tmp_path: Path) -> None:
    """Each workspace gets a pool of one slot. A pool that exists keeps its slots."""
    from airflow_provider_cio.state.pools import create_pools

    (tmp_path / "spec.yaml").write_text(GOOD.replace("production", "pooled"))
    done = typed("customerio", "pools", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "created customerio.pooled\n")
    assert airflow.pool("customerio.pooled") == {"slots": 1, "include_deferred": True}
    airflow.set_slots("customerio.pooled", 0)
    assert create_pools({"customerio.pooled"}) == []
    assert airflow.pool("customerio.pooled")["slots"] == 0


def test_reset_starts_a_sync_again(typed: Typed, airflow: Airflow) -> None:
    """The last sync time becomes 0. A name that does not exist is an error."""
    key = "customerio.production.again.last_sync_time"
    airflow.set_variable(key, "1795491784")
    assert typed("customerio", "reset", "production", "again").returncode == 0
    assert airflow.variable(key) == "0"
    assert typed("customerio", "reset", "production", "agian").returncode == 1


def test_airflow_finds_the_provider() -> None:
    """Airflow finds its connection form, settings and plugin through the entry points."""
    assert "airflow-provider-cio" in airflow_command("providers", "get", "airflow-provider-cio").stdout
    assert "customerio" in airflow_command("providers", "hooks").stdout
    assert "customerio" in airflow_command("plugins").stdout
    assert airflow_command("config", "get-value", "customerio", "request_timeout").stdout == "60\n"


def test_preview_shows_rows_operations_and_refusals_and_sends_nothing(
    connected: Airflow, database: Database, tmp_path: Path
) -> None:
    """The query is rendered with the last sync time, and columns have their types. The exit status is 0."""
    database.execute("CREATE TABLE people AS SELECT n AS id, now() AS seen FROM generate_series(1, 3) n")
    connected.set_variable("customerio.production.a.last_sync_time", "2")
    query = (
        "SELECT id, seen::date AS day, CASE WHEN id = 3 THEN 'x' END AS email FROM people"
        " WHERE id >= {{ last_sync_time }} ORDER BY 1"
    )
    spec = tmp_path / "a.yaml"
    spec.write_text(GOOD.replace("SELECT 1 AS id", query))
    done = airflow_command("customerio", "preview", str(spec))
    assert done.returncode == 0, done.stderr
    for part in ("id integer", "day date", "The first 2 rows", "1 2", "2 3", '"id": "2"'):
        assert part in " ".join(done.stdout.split())
    assert "1 of these rows would be refused" in done.stdout
    assert "attributes.email invalid email is not a valid address" in " ".join(done.stdout.split())


def test_preview_selects_rows_and_columns(
    connected: Airflow, database: Database, tmp_path: Path, typed: Typed
) -> None:
    """The flags limit what is shown, and the counts are of all rows."""
    database.execute("CREATE TABLE people AS SELECT n AS id, 'p' || n AS name FROM generate_series(1, 40) n")
    connected.set_variable("customerio.production.a.last_sync_time", "31")
    spec = tmp_path / "a.yaml"
    spec.write_text(
        GOOD.replace("SELECT 1 AS id", "SELECT id, name FROM people WHERE id >= {{ last_sync_time }}")
    )
    done = typed("customerio", "preview", str(spec), "--rows", "2", "--columns", "name", "--narrow")
    assert done.returncode == 0, done.stderr
    assert "The query has 40 rows. The last sync time selects 10 of them." in done.stdout
    assert " ".join(done.stdout.split()).count("Row 2 name p32") == 1
    assert "Row 3" not in done.stdout
    done = typed("customerio", "preview", str(spec), "--full-refresh", "--no-count")
    assert '"id": "1"' in done.stdout
    assert "The query" not in done.stdout
    done = typed("customerio", "preview", str(spec), "--columns", "nmae")
    assert done.returncode == 1
    assert "No query has the column nmae (--columns). The columns are id, name." in done.stderr
    assert "Give a number from 1" in typed("customerio", "preview", str(spec), "--rows", "0").stderr


def test_one_row_is_sent_and_read_back(
    connected: Airflow, emulator: EmulatorProcess, tmp_path: Path, typed: Typed
) -> None:
    """Only the chosen row is sent. Each value is beside the stored value."""
    spec = tmp_path / "a.yaml"
    rows = "VALUES ('one1', 1.50, true, 'x'), ('one2', 2.50, false, NULL), (NULL, 0, true, 'x')"
    rows = f"SELECT * FROM ({rows}) AS r (id, price, paid, note)"
    spec.write_text(GOOD.replace("SELECT 1 AS id", rows))
    command = ("customerio", "preview", str(spec), "--send-one")
    done = typed(*command, "2")
    assert done.returncode == 1
    assert "has no app_api_key, which reads a person back. Nothing was sent." in done.stderr
    fields = {"login": emulator.site_id, "password": emulator.api_key, "host": emulator.url}
    extra = {"app_api_key": emulator.app_api_key}
    connected.connect("customerio_production", conn_type="customerio", **fields, extra=extra)
    done = typed(*command, "2")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "Row 2 was sent, and Customer.io accepted it attribute sent stored" in text
    assert "price 2.50 2.50 paid false false note" in text
    assert "differs" not in text
    assert LocalWorkspace(emulator).attributes(["one1", "one2"]).keys() == {"one2"}
    assert "Row 3 is not one of the rows above" in typed(*command, "3").stderr


def test_preview_names_what_has_to_be_renamed(
    connected: Airflow,  # noqa: ARG001 - the command needs its connections
    tmp_path: Path,
) -> None:
    """Columns that must be renamed are listed with the others, and the exit status is 1.

    `--specs` can be a relative path, and the defaults of its folder apply.
    """
    (tmp_path / "defaults.yaml").write_text("workspace: production\n")
    (tmp_path / "team").mkdir()
    spec = tmp_path / "team" / "a.yaml"
    spec.write_text(GOOD.replace("1 AS id", '1 AS "ID"').replace("workspace: production\n", ""))
    done = airflow_command("customerio", "preview", str(spec), "--specs", os.path.relpath(tmp_path))
    assert done.returncode == 1
    assert '"ID" AS id' in done.stdout


def test_preview_explains_why_a_spec_cannot_be_used(connected: Airflow, tmp_path: Path) -> None:
    """A mistake in a spec, query or connection is a sentence, not a traceback."""
    spec = tmp_path / "a.yaml"
    spec.write_text(GOOD + "shedule: '* * * * *'\n")
    done = airflow_command("customerio", "preview", str(spec))
    assert done.returncode == 1
    assert f"{spec}:6:1: unknown key shedule" in done.stderr
    spec.write_text(GOOD.replace("SELECT 1 AS id", "SELECT id FROM nowhere"))
    done = airflow_command("customerio", "preview", str(spec))
    assert done.returncode == 1
    assert 'relation "nowhere" does not exist' in done.stderr
    connected.connect("warehouse", conn_type="postgres", host="127.0.0.1", port=1)
    done = airflow_command("customerio", "preview", str(spec))
    assert done.returncode == 1
    assert "Cannot connect to Postgres" in done.stderr
    assert "Traceback" not in done.stderr
