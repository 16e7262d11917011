"""Column names and identifiers, from Postgres into a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.engine import (
    ObjectsQuery,
    PeopleQuery,
    PostgresSource,
    Rejections,
    RelationshipsQuery,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.errors import QueryError
from tests.conftest import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.engine import Rejection
    from local.postgres import LocalPostgres
    from tests.integration.conftest import LocalWorkspace

NO_PEOPLE = PeopleQuery(sql="SELECT 'x' AS id WHERE false")
ALIAS = "number_of_orders_in_the_last_thirty_days_without_those_that_were_returned"


@pytest.fixture(scope="module")
def database(postgres: LocalPostgres) -> Iterator[Database]:
    """Return a database that all tests of this module share, because creating one is slow."""
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE columns")
    database = Database(f"{postgres.uri.rpartition('/')[0]}/columns")
    database.execute("CREATE TYPE answer AS ENUM ('yes', 'no', 'perhaps')")
    yield database
    database.connection.close()
    with postgres.connect() as connection:
        connection.execute("DROP DATABASE columns WITH (FORCE)")


def run(sync: Sync, database: Database, workspace: LocalWorkspace) -> tuple[Summary, list[Rejection]]:
    """Run a sync."""
    summary, rejections = Summary(0), Rejections()
    with workspace.client() as client:
        run_sync(sync, PostgresSource(database.connect), client, rejections, summary)
    return summary, rejections


def test_padded_identifiers_arrive_without_their_padding(
    database: Database, workspace: LocalWorkspace
) -> None:
    """Only identifiers of type `char(n)` and its domains are trimmed. Attributes keep their spaces."""
    database.execute(
        "CREATE DOMAIN code AS char(200);"
        "CREATE TABLE p (id char(12), email code, plan char(6), kept varchar(9));"
        "INSERT INTO p VALUES ('pad1', 'pad1@example.org', 'pro', 'v  ')"
    )
    main = PeopleQuery(sql="SELECT * FROM p UNION ALL SELECT NULL, 'pad2@example.org', NULL, NULL")
    relationships = RelationshipsQuery(
        sql="SELECT id, 'co1'::char(9) AS object_id, 'Y'::char(3) AS deleted FROM p", object_type_id="1"
    )
    summary, rejections = run(Sync(main=main, relationships=relationships), database, workspace)
    assert not rejections
    assert summary.rows_imported == 3
    attributes = workspace.attributes(["pad1"])["pad1"]
    assert (attributes["email"], attributes["plan"], attributes["kept"]) == (
        "pad1@example.org",
        "pro   ",
        "v  ",
    )
    objects = ObjectsQuery(sql="SELECT 'co1'::char(9) AS object_id", object_type_id="1")
    _, rejections = run(Sync(main=objects), database, workspace)
    assert not rejections


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT 'c1' AS id, 1 AS {ALIAS}",
        f"SELECT 'c1' AS id, 1 AS {ALIAS.title()}",
        f"SELECT 'c1' AS id, 1 AS \"{ALIAS.title()}\"",
        f"SELECT 'c1' AS id, \"{ALIAS}\" FROM (SELECT 1 AS {ALIAS}) t -- {ALIAS}",
        f"SELECT '\\' AS id, 1 AS {ALIAS}, 'b'",
        "SELECT 'c1' AS id, 1 AS " + "é" * 32,
        "SELECT 'c1' AS id, 1 AS \"" + "x" * 61 + '日本"',
        "SELECT 'c1' AS id, 1 AS \"" + "x" * 60 + '\U0001f600"',
    ],
)
def test_an_alias_that_postgres_truncates_is_refused(
    database: Database, workspace: LocalWorkspace, query: str
) -> None:
    """Postgres only warns, and the attribute would have another name than in the query."""
    with pytest.raises(QueryError, match="truncated by the database"):
        run(Sync(main=PeopleQuery(sql=query)), database, workspace)


def test_an_alias_of_63_bytes_is_sent(database: Database, workspace: LocalWorkspace) -> None:
    """63 bytes are the longest name that Postgres keeps."""
    name = ALIAS[:63]
    database.execute(f"CREATE TABLE t AS SELECT 'whole1' AS id, 1 AS {name}")
    for query in ("SELECT * FROM t", f"SELECT 'whole1' AS id, 1 AS {name} -- {ALIAS}"):
        run(Sync(main=PeopleQuery(sql=query)), database, workspace)
    assert workspace.attributes(["whole1"])["whole1"][name] == "1"


@pytest.mark.parametrize(
    ("expression", "accepted"),
    [
        ("true", True),
        ("1.0", True),
        ("1::numeric(3,1)", True),
        ("1::real", True),
        ("1::smallint", True),
        ("'Y'", True),
        ("'yes'::char(9)", True),
        ("'t'::\"char\"", True),
        ("B'1'", True),
        ("'on'::name", True),
        ("'yes'::answer", True),
        ("'TRUE'::information_schema.character_data", True),
        ("NULL", True),
        ("'1.0'", False),
        ("0.5", False),
        ("2", False),
        ("'perhaps'::answer", False),
    ],
)
def test_deleted_is_checked_row_by_row_if_its_type_can_be_boolean(
    database: Database, workspace: LocalWorkspace, expression: str, *, accepted: bool
) -> None:
    """Texts that Postgres casts to a boolean are valid, and numbers that are exactly 0 or 1."""
    query = f"SELECT 'd1' AS id, 'o1' AS object_id, {expression} AS deleted"
    sync = Sync(main=NO_PEOPLE, relationships=RelationshipsQuery(sql=query, object_type_id="1"))
    summary, rejections = run(sync, database, workspace)
    assert (summary.rows_imported, [found.field for found in rejections]) == (
        (1, []) if accepted else (0, ["deleted"])
    )


@pytest.mark.parametrize(
    "expression",
    [
        "now()",
        "now()::timestamp",
        "current_date",
        "current_time",
        "interval '1 day'",
        "'true'::json",
        "'true'::jsonb",
        "'t'::bytea",
        "ARRAY[true]",
        "gen_random_uuid()",
        "'1'::money",
        "point(1, 1)",
        "ROW(true)",
    ],
)
def test_deleted_of_a_type_that_cannot_be_boolean_is_refused_once(
    database: Database, workspace: LocalWorkspace, expression: str
) -> None:
    """The query is refused before anything is sent, with a condition that would be valid."""
    query = f"SELECT 'd1' AS id, 'o1' AS object_id, {expression} AS deleted"
    sync = Sync(main=NO_PEOPLE, relationships=RelationshipsQuery(sql=query, object_type_id="1"))
    with pytest.raises(QueryError, match="deleted_at IS NOT NULL AS deleted"):
        run(sync, database, workspace)


@pytest.mark.parametrize(
    ("expression", "identifier"),
    [
        ("9223372036854775807", "9223372036854775807"),
        ("-1", "-1"),
        ("1e20", "100000000000000000000"),
        ("1e-7", "0.0000001"),
        ("1.50", "1.50"),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("'n '::name", "n "),
        ("'yes'::answer", "yes"),
        ("' x '", " x "),
    ],
)
def test_an_identifier_is_the_text_that_postgres_shows(
    database: Database, workspace: LocalWorkspace, expression: str, identifier: str
) -> None:
    """Numbers have all their digits and no exponent."""
    run(Sync(main=PeopleQuery(sql=f"SELECT {expression} AS id, 1 AS n")), database, workspace)
    assert workspace.attributes([identifier])[identifier]["n"] == "1"


@pytest.mark.parametrize(
    "expression", ["now()", "1.5::float8", "true", "'{}'::json", "ARRAY['a']", "'a'::bytea"]
)
def test_an_identifier_of_another_type_is_refused(
    database: Database, workspace: LocalWorkspace, expression: str
) -> None:
    """The error is raised once for all rows."""
    with pytest.raises(QueryError, match="id::text AS id"):
        run(Sync(main=PeopleQuery(sql=f"SELECT {expression} AS id")), database, workspace)
