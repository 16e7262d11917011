"""Changes that Customer.io accepts and then does not apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_cio.engine import (
    ObjectsQuery,
    PeopleQuery,
    PostgresSource,
    ReadBack,
    Rejections,
    Status,
    Summary,
    Sync,
    run_sync,
)

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.conftest import LocalWorkspace


def sync(workspace: LocalWorkspace, database: Database, what: Sync) -> tuple[Summary, Rejections]:
    """Run a sync that reads failed changes back."""
    summary, rejections = Summary(0), Rejections()
    with workspace.client() as client, workspace.app() as app:
        read_back = ReadBack(app, wait=0)
        run_sync(what, PostgresSource(database.connect), client, rejections, summary, read_back=read_back)
    return summary, rejections


def people(sql: str) -> Sync:
    """Return a sync of people."""
    return Sync(main=PeopleQuery(sql=sql))


def test_an_address_of_another_person_is_a_rejection(workspace: LocalWorkspace, database: Database) -> None:
    """The API accepts the row, and the report has its row index, its values and the reason.

    The case of the address does not matter.
    """
    sync(workspace, database, people("SELECT 'owner' AS id, 'taken@b.co' AS email"))
    database.execute("CREATE TABLE t (n int, id text, email text, plan text)")
    database.execute(
        "INSERT INTO t VALUES"
        " (1, 'fc1', 'fc1@b.co', 'a'), (2, 'fc2', 'Taken@b.co', 'b'), (3, 'fc3', NULL, 'c')"
    )
    summary, rejections = sync(workspace, database, people("SELECT id, email, plan FROM t ORDER BY n"))
    (rejection,) = rejections
    assert (rejection.row_index, rejection.identifier, rejection.field) == (2, "fc2", "attributes.email")
    assert rejection.reason == "failed_attribute_change"
    assert rejection.message == "email belongs to another person"
    assert rejection.values == {"id": "fc2", "email": "Taken@b.co", "plan": "b"}
    assert (summary.rows_read, summary.rows_imported, summary.rows_failed) == (3, 2, 1)
    assert summary.status is Status.SOME_ROWS_FAILED
    assert summary.next_last_sync_time == 0


def test_failures_of_earlier_runs_and_of_others_are_not_counted(
    workspace: LocalWorkspace, database: Database
) -> None:
    """Only new activities count, and only those about a change of this run."""
    with workspace.client() as client:  # fails, but not in this run
        client.send_batch(
            [
                b'{"type":"person","action":"identify","identifiers":{"id":"fd1"},"attributes":{"email":"x@fd.co"}}',
                b'{"type":"person","action":"identify","identifiers":{"id":"fd2"},"attributes":{"email":"x@fd.co"}}',
            ]
        )
    summary, rejections = sync(workspace, database, people("SELECT 'fd2' AS id, 'y' AS plan"))
    assert (summary.status, rejections) == (Status.COMPLETED, [])


def test_failures_on_several_pages_are_all_found(workspace: LocalWorkspace, database: Database) -> None:
    """A page of the App API has a hundred activities."""
    many = "SELECT 'fe' || n AS id, 'fe' || n || '@b.co' AS email FROM generate_series(1, 250) n"
    sync(workspace, database, people(many))
    changed = "SELECT 'fe' || n AS id, 'new' || n || '@b.co' AS email FROM generate_series(1, 250) n"
    summary, rejections = sync(workspace, database, people(changed))
    assert (summary.rows_imported, summary.rows_failed) == (0, 250)
    assert sorted(rejection.row_index for rejection in rejections) == list(range(1, 251))
    assert {rejection.message for rejection in rejections} == {"email is already set"}


def test_an_object_that_grows_too_large_is_a_rejection(workspace: LocalWorkspace, database: Database) -> None:
    """An object can have 100 kB of attributes. Customer.io does not apply what exceeds them."""

    def grow(prefix: str) -> Sync:
        columns = ", ".join(f"repeat('x', 1000) AS {prefix}{n}" for n in range(24))
        sql = f"SELECT 'fat' AS object_id, {columns}"
        return Sync(main=ObjectsQuery(sql=sql, object_type_id="1"))

    for prefix in "abcd":
        assert not sync(workspace, database, grow(prefix))[1], prefix
    summary, (rejection,) = sync(workspace, database, grow("e"))
    assert (rejection.query, rejection.identifier, rejection.reason) == (
        "objects",
        "fat",
        "failed_attribute_change",
    )
    assert summary.status is Status.SOME_ROWS_FAILED


def test_a_run_without_rows_does_not_read_back(workspace: LocalWorkspace, database: Database) -> None:
    """Without imported rows there is no wait and no further request."""
    with workspace.client() as client, workspace.app() as app:
        read_back = ReadBack(app, wait=60)
        query = people("SELECT 'x' AS id WHERE false")
        run_sync(
            query, PostgresSource(database.connect), client, Rejections(), Summary(0), read_back=read_back
        )
        assert app.requests == 1


def test_one_address_with_two_ids_is_found_before_it_is_sent(
    workspace: LocalWorkspace, database: Database
) -> None:
    """The first row is imported. The case of an address does not matter, and the same id may repeat it."""
    database.execute(
        """
        CREATE TABLE t (n int, id text, email text);
        INSERT INTO t VALUES (1, 'dup1', 'dup@b.co'), (2, 'dup2', 'DUP@b.co'), (3, 'dup1', 'dup@b.co'),
            (4, 'dup3', NULL), (5, 'dup4', NULL), (6, NULL, 'dup@b.co'), (7, 'dup5', 'other@b.co')
        """
    )
    summary, rejections = sync(workspace, database, people("SELECT id, email FROM t ORDER BY n"))
    (rejection,) = rejections
    assert (rejection.row_index, rejection.identifier, rejection.reason) == (2, "dup2", "duplicate")
    assert rejection.message.startswith("email is also in row 1")
    assert summary.rows_imported == 6
    assert "dup2" not in workspace.attributes(["dup2"])


def test_addresses_are_compared_across_chunks(workspace: LocalWorkspace, database: Database) -> None:
    """The two rows can be any distance apart."""
    sql = """
        SELECT 'far' || n AS id,
            'far' || CASE WHEN n IN (5, 29999) THEN '' ELSE n::text END || '@b.co' AS email
        FROM generate_series(1, 30000) n
    """
    _, rejections = sync(workspace, database, people(sql))
    assert [rejection.row_index for rejection in rejections] == [29999]


def test_an_id_can_be_set_once(workspace: LocalWorkspace, database: Database) -> None:
    """A change that Customer.io does not apply is a rejection, also in a query that identifies by email."""

    def by_email(columns: str) -> Sync:
        return Sync(main=PeopleQuery(sql=f"SELECT {columns}", identify_by="email"))

    for columns in ("'blank@b.co' AS email", "'blank@b.co' AS email, 'blank1' AS id"):
        assert not sync(workspace, database, by_email(columns))[1]
    _, (rejection,) = sync(
        workspace, database, by_email("'blank@b.co' AS email, 'blank2' AS id, 'x' AS plan")
    )
    assert (rejection.identifier, rejection.field) == ("blank@b.co", "attributes.id")
    assert rejection.reason == "failed_attribute_change"
    person = workspace.attributes(["blank1"])["blank1"]
    assert (person["email"], person["plan"]) == ("blank@b.co", "x")
