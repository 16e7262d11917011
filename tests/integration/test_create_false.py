"""Syncs that change people who exist, and create none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_cio.engine import (
    PeopleQuery,
    PostgresSource,
    ReadBack,
    Rejections,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.outcome import not_found

if TYPE_CHECKING:
    import pytest

    from tests.conftest import Database
    from tests.integration.conftest import LocalWorkspace


def sync(
    workspace: LocalWorkspace, database: Database, sql: str, *, create: bool, read_back: bool = True
) -> tuple[Summary, Rejections]:
    """Run a sync of people."""
    summary, rejections = Summary(0), Rejections()
    what = Sync(main=PeopleQuery(sql=sql, create=create))
    with workspace.client() as client, workspace.app() as app:
        back = ReadBack(app, wait=0) if read_back else None
        run_sync(what, PostgresSource(database.connect), client, rejections, summary, read_back=back)
    return summary, rejections


def test_people_that_exist_are_updated_and_no_others_created(
    workspace: LocalWorkspace, database: Database
) -> None:
    """A row without a person is not a rejection. It is counted as not found, by id and by email address."""
    sync(
        workspace,
        database,
        "SELECT id, email, 'old' AS plan FROM (VALUES ('cf1', NULL), (NULL, 'cf2@b.co')) AS t (id, email)",
        create=True,
    )
    summary, rejections = sync(
        workspace,
        database,
        "SELECT id, email, 'new' AS plan FROM (VALUES ('cf1', NULL), ('cf3', NULL), ('cf3', NULL),"
        " (NULL, 'cf2@b.co'), (NULL, 'cf4@b.co')) AS t (id, email)",
        create=False,
    )
    assert (summary.status, rejections) == (Status.COMPLETED, [])
    assert (summary.rows_read, summary.rows_imported, summary.not_found) == (5, 5, 3)
    assert summary.as_dict()["not_found"] == 3
    assert "3 of the imported rows changed nothing: their person does not exist" in summary.lines()
    found = workspace.attributes(["cf1", "cf3"])
    assert {id_: person["plan"] for id_, person in found.items()} == {"cf1": "new"}
    with workspace.app() as app:
        assert [app.has_email(email) for email in ("cf2@b.co", "cf4@b.co")] == [True, False]


def test_more_people_than_a_request_can_hold_are_looked_up(
    workspace: LocalWorkspace, database: Database
) -> None:
    """The App API returns a hundred people a request."""
    sync(workspace, database, "SELECT 'cg' || n AS id FROM generate_series(1, 250) n", create=True)
    summary, _ = sync(
        workspace, database, "SELECT 'cg' || n AS id FROM generate_series(101, 400) n", create=False
    )
    assert (summary.rows_imported, summary.not_found, summary.warnings) == (300, 150, [])


def test_without_the_app_api_nothing_is_counted(workspace: LocalWorkspace, database: Database) -> None:
    """Customer.io accepts the row, so the Track API alone cannot reveal that the person does not exist."""
    summary, _ = sync(workspace, database, "SELECT 'ch1' AS id", create=False, read_back=False)
    assert (summary.status, summary.rows_imported, summary.not_found) == (Status.COMPLETED, 1, None)
    assert not workspace.attributes(["ch1"])


def test_the_number_of_people_that_are_looked_up_is_bounded(
    workspace: LocalWorkspace, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound, the summary warns that the number can be larger."""
    monkeypatch.setattr(not_found, "_MOST_PEOPLE", 10)
    sql = "SELECT 'ci' || n % 20 AS id FROM generate_series(0, 39) n"
    summary, _ = sync(workspace, database, sql, create=False)
    assert (summary.status, summary.not_found) == (Status.COMPLETED, 20)
    (warning,) = summary.warnings
    assert warning.startswith("Only 10 people were looked up, so more rows than the 20 of not_found can have")


def test_the_flag_is_not_in_the_report(workspace: LocalWorkspace, database: Database) -> None:
    """A rejection has the values of the row, by column."""
    sql = "SELECT 'cj1' AS id, repeat('x', 1001) AS plan"
    _, (rejection,) = sync(workspace, database, sql, create=False)
    assert (rejection.field, set(rejection.values)) == ("attributes.plan", {"id", "plan"})


def test_every_operation_has_the_flag() -> None:
    """The flag is sent with each row, also without attributes, and where NULLs are skipped."""
    from tests.columns import column

    id_, plan = column("id", "text"), column("plan", "text")
    for columns, row, attributes in (
        ([id_], ("a",), {}),
        ([id_, plan], ("a", None), {}),
        ([id_, plan], ("a", "b"), {"plan": "b"}),
    ):
        mapper = PeopleQuery(sql="", create=False).mapper(columns, "skip", print)
        (operation,) = mapper.to_operations([row])
        assert json.loads(operation.body)["attributes"] == {**attributes, "_update": True}


def test_people_that_do_not_exist_are_not_added_to_the_segment(
    workspace: LocalWorkspace, database: Database
) -> None:
    """The summary counts only the people that exist."""
    people = "SELECT id, email FROM (VALUES ('ck1', NULL), (NULL, 'ck2@b.co')) AS t (id, email)"
    sync(workspace, database, people, create=True)
    with workspace.client() as client, workspace.app() as app:
        segment = app.create_segment("Updated people").id
        more = "VALUES ('ck3', NULL), (NULL, 'ck4@b.co'), ('ck1', NULL)"
        query = PeopleQuery(sql=f"{people} UNION ALL ({more})", create=False)
        summary, source = Summary(0), PostgresSource(database.connect)
        what = Sync(main=query, segment=segment)
        run_sync(what, source, client, Rejections(), summary, read_back=ReadBack(app, wait=0))
    assert (summary.rows_imported, summary.not_found, summary.added_to_segment) == (5, 2, 2)
    assert workspace.members(segment) == {"ck1", "ck2@b.co"}
