"""Guards: limits that end a run before or while it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.engine import (
    Guards,
    PeopleQuery,
    PostgresSource,
    ReadBack,
    Rejections,
    RelationshipsQuery,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.errors import ConfigurationError, QueryError

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.conftest import LocalWorkspace


class GuardedRun:
    """A run with guards, and what it left."""

    def __init__(
        self, workspace: LocalWorkspace, database: Database, sync: Sync | str, **guards: Any
    ) -> None:
        self.summary, self.rejections = Summary(0), Rejections()
        self.message = ""
        sync = Sync(main=PeopleQuery(sql=sync)) if isinstance(sync, str) else sync
        with workspace.client() as client, workspace.app() as app:
            try:
                run_sync(
                    sync,
                    PostgresSource(database.connect),
                    client,
                    self.rejections,
                    self.summary,
                    read_back=ReadBack(app, wait=0),
                    guards=Guards(**guards),
                )
            except ConfigurationError as error:
                self.message = str(error)


TEN = "SELECT 'g' || n AS id FROM generate_series(1, 10) n"


@pytest.mark.parametrize(
    ("guards", "problem", "advice"),
    [
        ({"min_rows": 11}, "fewer than min_rows: 11", "lower min_rows"),
        ({"max_rows": 9}, "more than max_rows: 9", "raise max_rows"),
        ({"max_rows": 9, "reads_everything": False}, "more than max_rows: 9", "raise max_rows"),
        (
            {"max_growth": "300%", "last_row_count": 2},
            "400% more than the 2 of the last Completed run that read everything, and max_growth is 300%",
            "raise max_growth",
        ),
    ],
)
def test_a_guard_of_the_number_of_rows_trips_before_anything_is_sent(
    workspace: LocalWorkspace, database: Database, guards: dict[str, Any], problem: str, advice: str
) -> None:
    """The message has the counts and what to do. The run is Failed, and Airflow does not repeat it."""
    run = GuardedRun(workspace, database, TEN, **guards)
    assert run.message == (
        f"The people query returns 10 rows, {problem}. Nothing was sent. Check the query and its tables, or"
        f" {advice}."
    )
    assert (run.summary.status, run.summary.requests, run.summary.rows_read) == (Status.FAILED, 0, 0)
    assert run.summary.next_last_sync_time == 0


@pytest.mark.parametrize(
    "guards",
    [
        {"min_rows": 10, "max_rows": 10},
        {"max_growth": "400%", "last_row_count": 2},
        {"max_growth": "12.5%", "last_row_count": 9},
        {"max_growth": "1%", "last_row_count": None},
        {"max_growth": "1%", "last_row_count": 0},
        {"min_rows": 11, "reads_everything": False},
        {"max_growth": "1%", "last_row_count": 2, "reads_everything": False},
        {"max_failed": 0},
    ],
)
def test_a_guard_that_does_not_trip_changes_nothing(
    workspace: LocalWorkspace, database: Database, guards: dict[str, Any]
) -> None:
    """A count that equals a limit is allowed. A run that reads only changes can have few rows, or many."""
    run = GuardedRun(workspace, database, TEN, **guards)
    assert (run.message, run.summary.status, run.summary.rows_imported) == ("", Status.COMPLETED, 10)


def test_rows_are_counted_in_the_snapshot_of_the_run(database: Database) -> None:
    """A query with a semicolon, a comment and two columns of the same name can be counted."""
    database.execute("CREATE TABLE t AS SELECT 'gs' || n AS id FROM generate_series(1, 3) n")
    with PostgresSource(database.connect).snapshot() as snapshot:
        database.execute("INSERT INTO t VALUES ('gs4')")
        assert snapshot.count("SELECT id, id FROM t -- all\n;") == 3
        assert snapshot.count("WITH x AS (SELECT * FROM t) SELECT * FROM x ORDER BY id LIMIT 2") == 2
        with pytest.raises(QueryError):
            snapshot.count("SELECT id\nFROM t WHERE nothing = 1")


@pytest.mark.parametrize(
    "guards",
    [
        {"max_failed": 5},
        {"min_rows": 3, "reads_everything": False},
        {"max_growth": "1%", "last_row_count": None},
    ],
)
def test_without_a_guard_that_needs_it_nothing_is_counted(guards: dict[str, Any]) -> None:
    """Postgres would run the query another time for it."""

    def count() -> int:
        pytest.fail("the rows were counted")

    Guards(**guards).check_rows("people", count)


def test_too_many_failed_rows_stop_a_run(workspace: LocalWorkspace, database: Database) -> None:
    """The share is judged after 1,000 verdicts. The rows that failed are in the report, and counted."""
    sql = (
        "SELECT 'gf' || n AS id, CASE WHEN n % 10 = 0 THEN repeat('x', 1001) ELSE repeat('y', 900) END AS v"
        " FROM generate_series(1, 60000) n"
    )
    run = GuardedRun(workspace, database, sql, max_failed="5%")
    assert (
        "rows of the people query failed, more than max_failed: 5%. The run stopped sending." in run.message
    )
    summary = run.summary
    assert summary.status is Status.FAILED
    assert 100 <= summary.rows_failed == len(run.rejections)
    assert 1000 <= summary.rows_imported + summary.rows_failed < 60_000
    assert summary.next_last_sync_time == 0


@pytest.mark.parametrize(
    ("limit", "trips"), [(2, True), (3, False), ("29%", True), ("30%", False), ("0%", True)]
)
def test_failed_rows_of_a_small_run_are_judged_at_its_end(
    workspace: LocalWorkspace,
    database: Database,
    limit: int | str,
    trips: bool,  # noqa: FBT001
) -> None:
    """All rows were tried. Relationships are not sent if the guard tripped."""
    sql = "SELECT 'ge' || n AS id, repeat('x', 993 + n) AS v FROM generate_series(1, 10) n"
    related = RelationshipsQuery(sql="SELECT 'ge1' AS id, 'o' AS object_id", object_type_id="1")
    run = GuardedRun(
        workspace, database, Sync(main=PeopleQuery(sql=sql), relationships=related), max_failed=limit
    )
    assert (run.summary.rows_failed, len(run.rejections)) == (3, 3)
    related_rows = run.summary.queries["relationships"].read
    if trips:
        assert run.message == (
            f"3 of 10 rows of the people query failed, more than max_failed: {limit}. Correct the rows in the"
            " report, or raise max_failed."
        )
        assert (run.summary.status, related_rows) == (Status.FAILED, 0)
    else:
        assert (run.message, run.summary.status, related_rows) == ("", Status.SOME_ROWS_FAILED, 1)


def test_changes_that_were_not_applied_count_as_failed_rows(
    workspace: LocalWorkspace, database: Database
) -> None:
    """They are known after the activity log was read."""
    GuardedRun(workspace, database, "SELECT 'gowner' AS id, 'gtaken@b.co' AS email")
    run = GuardedRun(workspace, database, "SELECT 'gother' AS id, 'gtaken@b.co' AS email", max_failed=0)
    assert run.message.startswith("1 of 1 rows of the people query failed, more than max_failed: 0.")
    assert (run.summary.status, run.summary.rows_failed) == (Status.FAILED, 1)


def test_guards_apply_in_a_dry_run(database: Database) -> None:
    """A dry run shows whether a guard would trip."""
    for guards, sql in (({"min_rows": 11}, TEN), ({"max_failed": "50%"}, "SELECT NULL::text AS id")):
        summary = Summary(0, dry_run=True)
        source = PostgresSource(database.connect)
        with pytest.raises(ConfigurationError):
            run_sync(
                Sync(main=PeopleQuery(sql=sql)),
                source,
                DryRun(),
                Rejections(),
                summary,
                guards=Guards(**guards),
            )
        assert summary.status is Status.FAILED
