"""Reports of failed rows that runs of a real Airflow write."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.engine import Rejection
from airflow_provider_cio.reports.report import Report
from tests.airflow.test_sync import spec

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

ROWS = """
CREATE TABLE t (n int, id text, email text, plan text, score numeric, tags text[], data jsonb);
INSERT INTO t VALUES
    (1, 'rep1', 'rep1@b.co', 'free', 1, NULL, NULL),
    (2, NULL, 'rep2@b.co', '=HYPERLINK("http://evil")', -12345678901234567890.5, '{a,"b,c"}', '{"x": [1]}'),
    (3, 'rep3', 'rep3@b.co', repeat('é', 600), NULL, NULL, NULL),
    (4, 'rep4', '@not an address', E'two\\nlines', NULL, NULL, NULL)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder to which reports are written."""
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__REPORTS_URL", f"file://{tmp_path}/reports")
    return tmp_path / "reports"


def read(path: Path) -> list[dict[str, str]]:
    """Return the records of a CSV."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def run(airflow: Airflow, name: str, query: str) -> dict[str, Any]:
    """Run a sync and return its summary."""
    airflow.write(f"syncs/{name}.yaml", spec(name, query))
    return airflow.summary(airflow.run(f"customerio.production.{name}"))


def test_every_failed_row_is_in_the_report(connected: Airflow, database: Database, folder: Path) -> None:
    """The report has a line for each rejection, ours or Customer.io's. Only its owner can read the file."""
    database.execute(ROWS)
    summary = run(connected, "report", "SELECT id, email, plan, score, tags, data FROM t ORDER BY n")
    (path,) = (folder / "production" / "report").iterdir()
    assert summary["report"] == f"file://{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(path) == [
        {
            "query": "people",
            "row": "2",
            "identifier": "",
            "field": "identifiers.id",
            "reason": "required",
            "message": "the row has no id",
            "id": "",
            "email": "rep2@b.co",
            "plan": '\'=HYPERLINK("http://evil")',
            "score": "-12345678901234567890.5",
            "tags": '["a","b,c"]',
            "data": '{"x": [1]}',
        },
        {
            "query": "people",
            "row": "4",
            "identifier": "rep4",
            "field": "attributes.email",
            "reason": "invalid",
            "message": "email is not a valid address (RFC 5322)",
            "id": "rep4",
            "email": "'@not an address",
            "plan": "two\nlines",
            "score": "",
            "tags": "",
            "data": "",
        },
        {
            "query": "people",
            "row": "3",
            "identifier": "rep3",
            "field": "attributes.plan",
            "reason": "invalid",
            "message": "property value cannot be longer than 1000 bytes",
            "id": "rep3",
            "email": "rep3@b.co",
            "plan": "é" * 600,
            "score": "",
            "tags": "",
            "data": "",
        },
    ]


def test_a_run_without_rejections_writes_no_report(connected: Airflow, folder: Path) -> None:
    """A Completed run creates no file, no folder and no link."""
    summary = run(connected, "good", "SELECT ''good1'' AS id".replace("''", "'"))
    assert (summary["status"], summary["report"], summary["report_url"]) == ("Completed", None, None)
    assert not folder.exists()


def test_all_queries_share_one_report(connected: Airflow, folder: Path) -> None:
    """Each line has the columns of its own query. The columns of other queries are empty."""
    connected.write(
        "syncs/two.yaml",
        spec("two", "SELECT NULL AS id, 'p' AS plan")
        + "relationships:\n  object_type_id: '1'\n"
        + "  query: SELECT 'two1' AS id, NULL AS object_id, 'owner' AS role\n",
    )
    connected.run("customerio.production.two")
    (path,) = (folder / "production" / "two").iterdir()
    people, relationship = read(path)
    assert (people["query"], people["plan"], people["role"]) == ("people", "p", "")
    assert (relationship["query"], relationship["id"], relationship["role"]) == (
        "relationships",
        "two1",
        "owner",
    )
    assert relationship["message"] == "the row has no object_id"


def test_old_reports_of_the_sync_are_removed(
    connected: Airflow, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports of this sync are removed after [customerio] report_retention_days. Other files stay."""
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__REPORT_RETENTION_DAYS", "2")
    mine, other = folder / "production" / "old", folder / "production" / "other"
    for each in (mine, other):
        each.mkdir(parents=True)
        for age in (1, 3):
            day = dt.datetime.now(dt.UTC) - dt.timedelta(days=age)
            (each / day.strftime("%Y-%m-%dT%H%M%S.%fZ.csv")).touch()
    (mine / "notes.csv").touch()
    run(connected, "old", "SELECT 'old1' AS id")
    assert len(list(mine.iterdir())) == 2
    assert (mine / "notes.csv").exists()
    assert len(list(other.iterdir())) == 2


def test_a_report_that_cannot_be_written_does_not_end_the_run(
    connected: Airflow, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are tried, and the summary is complete."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__REPORTS_URL", f"file://{tmp_path}/file/reports")
    database.execute(ROWS)
    summary = run(connected, "nowhere_to_write", "SELECT id, email, plan FROM t ORDER BY n")
    assert summary["queries"] == {"people": {"read": 4, "imported": 1, "failed": 3}}
    assert (summary["status"], summary["report"]) == ("Some rows failed", None)


def test_a_million_rejections_need_no_memory(folder: Path) -> None:
    """Lines are written to the file during the run."""

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    report = Report("production", "million", dt.datetime.now(dt.UTC))
    report.expect(["id", "plan"])
    rejection = Rejection("people", 1, "x", "identifiers.id", "invalid", "no", {"id": "x" * 100, "plan": 1})
    for _ in range(1000):
        report.add(rejection)
    before = resident()
    for _ in range(999_000):
        report.add(rejection)
    grown = resident() - before
    report.close()
    (path,) = (folder / "production" / "million").iterdir()
    assert path.stat().st_size > 100_000_000
    assert grown < 10_000_000
