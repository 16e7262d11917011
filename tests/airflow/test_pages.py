"""What the pages read from Airflow's metadata database, on SQLite and on Postgres."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.connection import Connection
from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.errors import ParseImportError
from airflow.models.pool import Pool
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from sqlalchemy import create_engine, delete, event, update
from sqlalchemy.orm import Session

from airflow_provider_cio.operators.progress import PROGRESS_KEY
from airflow_provider_cio.plugin import metadata
from airflow_provider_cio.plugin.outcomes import RunStatus, explain, view_run
from airflow_provider_cio.plugin.rejections import read_rejections
from airflow_provider_cio.plugin.rendering import page
from airflow_provider_cio.plugin.summaries import parse_progress, parse_summary
from airflow_provider_cio.plugin.sync_list import last_sync, list_syncs
from local.many_runs import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.conftest import Database

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
SUMMARY = {
    "status": "Completed",
    "dry_run": False,
    "queries": {"people": {"read": 10, "imported": 10, "failed": 0}},
    "added_to_segment": 10,
    "requests": 1,
    "bytes": 100,
    "warnings": [],
    "started_at": "2026-11-19T23:00:00+00:00",
    "finished_at": "2026-11-19T23:00:10+00:00",
    "duration": 10.0,
    "last_sync_time": 1795000000,
    "next_last_sync_time": 1795001000,
    "report": None,
    "reason": None,
}


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Give an empty metadata database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/airflow.db"
    else:
        database: Database = request.getfixturevalue("database")
        url = database.uri.replace("postgresql://", "postgresql+psycopg2://")
    engine = create_engine(url)
    import_all_models()
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database."""
    statements: list[str] = []

    def collect(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", collect)
    yield statements
    event.remove(engine, "before_cursor_execute", collect)


@pytest.mark.parametrize(("syncs", "runs"), [(2, 1), (40, 30)])
def test_the_number_of_queries_does_not_depend_on_the_number_of_syncs(
    engine: Engine, syncs: int, runs: int
) -> None:
    """The list takes 8 queries, with 2 syncs as with 40, and shows the latest runs of each."""
    ids = fill(engine, syncs=syncs, runs=runs)
    with counted(engine) as statements, Session(engine) as session:
        listed = list_syncs(session, set(ids), import_errors=True, now=NOW)
    assert len(statements) == 8
    assert listed.count == syncs
    latest = {sync.dag.dag_id: sync.latest for each in listed.workspaces for sync in each.syncs}
    assert {view.run.id for view in latest.values() if view} == {
        syncs * (runs - 1) + number + 1 for number in range(syncs)
    }
    html = bytes(
        page(
            "syncs.html",
            listed=listed,
            now=NOW,
            search="",
            chosen_workspace="",
            chosen_status="",
            refresh=3,
        ).body
    ).decode()
    assert html.count("data-text=") == syncs


def test_a_user_sees_only_dags_that_they_may_read(engine: Engine) -> None:
    """Neither their syncs nor their workspaces, nor import errors of a file with another DAG."""
    ids = fill(engine, syncs=6, runs=1, workspaces=3)
    with Session(engine) as session:
        session.add(
            ParseImportError(filename="syncs.py", bundle_name="dags-folder", stacktrace="Traceback\nBoom: no")
        )
        session.commit()
        listed = list_syncs(session, {ids[0], "other"}, import_errors=True, now=NOW)
        assert [each.name for each in listed.workspaces] == ["workspace_0"]
        assert listed.count == 1
        assert not listed.broken_files
        (broken,) = list_syncs(session, set(ids), import_errors=True, now=NOW).broken_files
        assert (broken.file, broken.message) == ("syncs.py", "Boom: no")
        assert not list_syncs(session, set(ids), import_errors=False, now=NOW).broken_files


def test_a_missing_pool_and_a_missing_connection_are_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow itself shows neither: such a task waits forever, or fails at its first run."""
    ids = fill(engine, syncs=2, runs=1, workspaces=2)
    with Session(engine) as session:
        session.execute(delete(Pool).where(Pool.pool == "customerio.workspace_0"))
        session.add(Connection(conn_id="customerio_workspace_0", conn_type="customerio"))
        session.commit()
        first, second = list_syncs(session, set(ids), import_errors=True, now=NOW).workspaces
        assert [text.partition(" does")[0] for text in first.problems] == ["The pool customerio.workspace_0"]
        assert [text.partition(" is")[0] for text in second.problems] == [
            "The connection customerio_workspace_1"
        ]
        monkeypatch.setenv("AIRFLOW_CONN_CUSTOMERIO_WORKSPACE_1", "{}")
        _, second = list_syncs(session, set(ids), import_errors=True, now=NOW).workspaces
        assert not second.problems


def test_an_active_run_shows_its_progress(engine: Engine) -> None:
    """A run with a task that runs is Running; a value of another shape in the store is ignored."""
    (dag_id,) = fill(engine, syncs=1, runs=2)
    with Session(engine) as session:
        run_id = session.get_one(DagRun, 2).run_id
        session.execute(update(DagRun).where(DagRun.id == 2).values(_state="running", end_date=None))
        session.execute(update(TaskInstance).where(TaskInstance.run_id == run_id).values(state="running"))
        store = {"dag_run_id": 2, "dag_id": dag_id, "run_id": run_id, "task_id": "sync", "map_index": -1}
        value = json.dumps({"read": 70, "imported": 60, "failed": 1, "rows_per_second": 7.5})
        session.add(TaskStateStoreModel(**store, key=PROGRESS_KEY, value=value))
        session.commit()
        progress = metadata.read_progress(session, [dag_id])
        (view,) = (
            view_run(run, *_state_of(session, dag_id, run.run_id), NOW)
            for run in metadata.read_runs(session, dag_id, limit=1)
        )
    assert list(progress) == [(dag_id, run_id)]
    assert (view.status, view.read, view.imported, view.failed) == (RunStatus.RUNNING, 70, 60, 1)
    assert view.rows_per_second == 7.5
    assert parse_progress('{"read": "many"}') is None


def _state_of(session: Session, dag_id: str, run_id: str) -> tuple[Any, Any]:
    unfinished = metadata.read_unfinished(session, [dag_id])
    return unfinished.get((dag_id, run_id), []), metadata.read_progress(session, [dag_id]).get(
        (dag_id, run_id)
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "text",
        [],
        {},
        {"status": "Completed", "queries": []},
        {"status": "<script>"},
        {"status": "Completed", "queries": {"people": {"read": -1}}},
        {"status": "Completed", "queries": {"people": {"read": 2**80}}},
        {"status": "Completed", "duration": "NaN"},
        {"status": "Completed", "last_sync_time": 10**30},
        {"status": "Completed", "warnings": "none"},
        {"status": "Completed", "started_at": "yesterday"},
        {"status": "Completed", "warnings": ["x" * 100_000]},
    ],
)
def test_an_xcom_that_is_not_a_summary_is_ignored(engine: Engine, value: object) -> None:
    """Some roles may edit XComs. The run then has the status that Airflow gives it, and no numbers."""
    (dag_id,) = fill(engine, syncs=1, runs=1)
    with Session(engine) as session:
        session.execute(update(XComModel).values(value=value))
        session.commit()
        (run,) = metadata.read_runs(session, dag_id, limit=5)
    assert run.summaries == {}
    view = view_run(run, [], None, NOW)
    assert (view.status, view.read, view.known) == (RunStatus.FAILED, 0, False)


def test_a_summary_that_the_rest_api_stored_is_read() -> None:
    """Airflow's execution API stores JSON, its REST API stores JSON inside a JSON text."""
    text = json.dumps(SUMMARY)
    direct, nested = parse_summary(text), parse_summary(json.dumps(text))
    assert direct == nested
    assert direct
    assert (direct.rows_read, direct.status) == (10, "Completed")


def run_with(state: str, conf: object = None, **summary: object) -> metadata.Run:
    """Return a run with a summary, or without one."""
    parsed = parse_summary(json.dumps(SUMMARY | summary)) if summary else None
    return metadata.Run(
        id=1,
        dag_id="customerio.production.people",
        run_id="manual__1",
        state=state,
        run_type="manual",
        user="ada",
        conf=conf,
        run_after=NOW,
        start=NOW - dt.timedelta(seconds=30),
        end=NOW,
        summaries={("sync", -1): parsed} if parsed else {},
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (run_with("success", status="Completed"), RunStatus.COMPLETED),
        (run_with("success", status="Completed", dry_run=True), RunStatus.DRY_RUN),
        (run_with("failed", status="Some rows failed"), RunStatus.SOME_ROWS_FAILED),
        (run_with("failed", status="Some rows failed", dry_run=True), RunStatus.SOME_ROWS_FAILED),
        (run_with("failed", status="Failed"), RunStatus.FAILED),
        (run_with("failed", status="Completed"), RunStatus.FAILED),
        (run_with("success", status="Skipped"), RunStatus.SKIPPED),
        (run_with("success"), RunStatus.COMPLETED),
        (run_with("failed"), RunStatus.FAILED),
        (run_with("running", status="Failed"), RunStatus.WAITING),
        (run_with("queued"), RunStatus.WAITING),
    ],
)
def test_a_run_has_a_status_in_our_words(run: metadata.Run, expected: RunStatus) -> None:
    """A dry run is not a success, a skipped run is not one either, and a failed one has not Completed."""
    assert view_run(run, [], None, NOW).status is expected


def test_rows_to_retry_are_shown_with_their_history() -> None:
    """A run whose task succeeded can still have rows to correct, and since when and how often they failed."""
    run = run_with(
        "success",
        status="Some rows failed",
        rows_to_retry=3,
        failing_since="2026-11-24T22:00:00+00:00",
        most_tries=4,
    )
    view = view_run(run, [], None, NOW)
    assert view.status is RunStatus.SOME_ROWS_FAILED
    dag = SimpleNamespace(dag_id=run.dag_id, name="people", workspace="production")
    response = page(
        "run.html", view=view, dag=dag, syncs=[], active=False, explanation="", refresh=3, search=""
    )
    text = " ".join(re.sub("<[^>]+>", " ", bytes(response.body).decode()).split())
    assert "Rows to retry 3 failing since 2026-11-24 22:00:00 , up to 4 tries" in text


def test_a_failed_or_skipped_run_has_its_reason() -> None:
    """It is the sentence that ends the task's log."""
    reason = "The Postgres connection warehouse does not exist. Create it."
    assert explain(view_run(run_with("failed", status="Failed", reason=reason), [], None, NOW)) == reason
    assert "next interval" in explain(view_run(run_with("success", status="Skipped"), [], None, NOW))


def test_a_broken_spec_shows_its_mistakes(engine: Engine) -> None:
    """Its DAG has the tag, and the message is in its docs; quotes in it are text."""
    (dag_id,) = fill(engine, syncs=1, runs=0)
    with Session(engine) as session:
        session.add(DagTag(dag_id=dag_id, name="spec-error"))
        session.commit()
        (dag,) = metadata.read_dags(session)
    assert dag.error == "This spec cannot be used."


def test_a_stale_dag_is_not_listed(engine: Engine) -> None:
    """Its spec was removed."""
    (dag_id,) = fill(engine, syncs=1, runs=1)
    with Session(engine) as session:
        session.execute(update(DagModel).values(is_stale=True))
        session.commit()
        assert list_syncs(session, {dag_id}, import_errors=True, now=NOW).count == 0


def test_the_last_sync_time_may_be_anything(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person may edit the Variable; the environment wins, as it does in tasks."""
    fill(engine, syncs=1, runs=0)
    key = "customerio.workspace_0.sync_0.last_sync_time"
    with Session(engine) as session:
        assert metadata.read_variables(session, [key]) == {key: "1793491200"}
        session.execute(update(Variable).values(is_encrypted=True))
        assert metadata.read_variables(session, [key]) in ({}, {key: "1793491200"})  # without a Fernet key
        monkeypatch.setenv(f"AIRFLOW_VAR_{key.upper()}", "12")
        assert metadata.read_variables(session, [key]) == {key: "12"}
    assert last_sync("1793491200").time == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert last_sync("0") == last_sync(None) == last_sync(" ")
    for wrong in ("yesterday", "-1", "1e9", "9" * 30, "<b>"):
        assert last_sync(wrong).problem


def report(*rows: tuple[str, ...]) -> io.BytesIO:
    """Return a report with these rows."""
    header = ("query", "row", "identifier", "field", "reason", "message", "id", "email")
    lines = [",".join(f'"{cell}"' for cell in row) for row in (header, *rows)]
    return io.BytesIO("\r\n".join(lines).encode())


def test_rejections_are_grouped_and_found() -> None:
    """By query, field and reason, the largest group first; with the value of the field."""
    many = [
        ("people", str(n), f"p{n}", "attributes.email", "invalid", "not valid", f"p{n}", "a@b,c")
        for n in range(300)
    ]
    one = ("people", "900", "", "identifiers.id", "required", "no id", "", "x@y.z")
    found = read_rejections(report(*many, one))
    assert [(group.reason, group.count) for group in found.groups] == [("invalid", 300), ("required", 1)]
    assert (len(found.rows), found.matching, found.complete) == (100, 301, True)
    assert found.rows[0].value == "a@b,c"
    (row,) = read_rejections(report(*many, one), "REQUIRED no").rows
    assert (row.row, row.value) == ("900", "")
    assert "WHERE id IS NOT NULL" in found.groups[1].advice.steps


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"a,b\n1,2\n",
        b'"query","row"\n',
        b'"' * 5_000_000,
        b"query,row,identifier,field,reason,message\n" * 3,
    ],
)
def test_a_damaged_report_breaks_no_page(content: bytes) -> None:
    """A store may hold anything under the report's name."""
    assert read_rejections(io.BytesIO(content)).rows is not None


def test_a_long_report_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page shows this, and the download has every row."""
    monkeypatch.setattr("airflow_provider_cio.plugin.rejections._MOST_BYTES", 100_000)
    rows = [("people", str(n), "x", "attributes.plan", "invalid", "m" * 100, "x", "y") for n in range(5_000)]
    found = read_rejections(report(*rows))
    assert not found.complete
    assert 100 < found.counted < 5_000


def test_what_people_wrote_is_text(engine: Engine) -> None:
    """A description with HTML in it does not become part of the page, wherever it is shown."""
    ids = fill(engine, syncs=1, runs=1)
    script = "\"'><script>alert(1)</script>"
    with Session(engine) as session:
        session.execute(update(DagModel).values(description=script, timetable_description=script))
        session.commit()
        listed = list_syncs(session, set(ids), import_errors=True, now=NOW)
    html = bytes(
        page(
            "syncs.html",
            listed=listed,
            now=NOW,
            search=script,
            chosen_workspace=script,
            chosen_status=script,
            refresh=3,
        ).body
    ).decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_pages_have_no_inline_script_or_style(engine: Engine) -> None:
    """The policy of the pages forbids both, and any file from elsewhere."""
    ids = fill(engine, syncs=3, runs=3)
    with Session(engine) as session:
        listed = list_syncs(session, set(ids), import_errors=True, now=NOW)
    answer = page(
        "syncs.html", listed=listed, now=NOW, search="", chosen_workspace="", chosen_status="", refresh=3
    )
    html = bytes(answer.body).decode()
    assert " style=" not in html
    assert "<style" not in html
    assert "http" not in html
    policy = answer.headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " frame-ancestors 'self'; form-action 'self'; base-uri 'none'"
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
