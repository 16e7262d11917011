"""Previews: the operations of a sync, without sending them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from airflow_provider_cio.engine import ObjectsQuery, PeopleQuery, PostgresSource, RelationshipsQuery, Sync
from airflow_provider_cio.engine.preview import preview
from airflow_provider_cio.errors import QueryError

if TYPE_CHECKING:
    from tests.conftest import Database


def test_the_first_100_rows_of_every_query_are_mapped(database: Database) -> None:
    """A preview has the first rows of each query, their operations, and the rows that would be rejected."""
    people = "SELECT nullif(n, 3) AS id, 'p' || n AS name FROM generate_series(1, 5000) n; -- all of them"
    relationships = "SELECT 'a' AS id, 'b' AS object_id WHERE false"
    sync = Sync(
        main=PeopleQuery(sql=people, identify_by="id"),
        relationships=RelationshipsQuery(sql=relationships, object_type_id="1"),
    )
    main, related = preview(sync, PostgresSource(database.connect))
    assert (main.query, len(main.rows), main.rows[99]) == ("people", 100, (100, "p100"))
    assert len(main.operations) == 99
    assert main.operations[0].body == (
        b'{"type":"person","identifiers":{"id":"1"},"attributes":{"name":"p1"},"action":"identify"}'
    )
    assert [(each.row_index, each.field, each.reason) for each in main.rejections] == [
        (3, "identifiers.id", "required")
    ]
    assert (related.query, related.rows, related.operations) == ("relationships", [], [])


def test_the_rows_of_both_renderings_are_counted(database: Database) -> None:
    """They are counted in the same snapshot, and all of them."""
    database.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 500) n")
    template = "SELECT id, id FROM t WHERE id > {}; -- semicolon and comment"
    changes, everything = (Sync(main=PeopleQuery(sql=template.format(since))) for since in (380, 0))
    source = PostgresSource(database.connect)
    (seen,) = preview(changes, source, rows=3, full_refresh=everything)
    assert (len(seen.rows), seen.selected, seen.total) == (3, 120, 500)
    (seen,) = preview(everything, source, full_refresh=everything)
    assert (len(seen.rows), seen.selected, seen.total) == (100, 500, 500)


def test_rows_that_cannot_be_counted_are_shown(database: Database) -> None:
    """A row beyond the first ones that Postgres cannot compute is a warning."""
    query = PeopleQuery(sql="SELECT n AS id FROM generate_series(1, 5000) n WHERE 1 / (n - 4000) IS NOT NULL")
    sync = Sync(main=query)
    (seen,) = preview(sync, PostgresSource(database.connect), rows=2, full_refresh=sync)
    assert (len(seen.rows), seen.selected, seen.total) == (2, None, None)
    assert "The rows cannot be counted. " in seen.warnings[0]
    assert "SQLSTATE 22012" in seen.warnings[0]


def test_columns_have_the_types_of_the_query(database: Database) -> None:
    """This includes columns that are read as text, and arrays."""
    database.execute("CREATE TYPE plan AS ENUM ('free')")
    query = "SELECT 'x' AS object_id, 'free'::plan, ARRAY['free'::plan] AS plans, 1.5 AS price, now() AS at"
    (seen,) = preview(
        Sync(main=ObjectsQuery(sql=query, object_type_id="1")), PostgresSource(database.connect)
    )
    assert [(column.name, column.declared_type) for column in seen.columns] == [
        ("object_id", "text"),
        ("plan", "plan"),
        ("plans", "plan[]"),
        ("price", "numeric"),
        ("at", "timestamp with time zone"),
    ]


def test_columns_that_cannot_be_used_are_shown_with_the_correction(database: Database) -> None:
    """The rows of `SELECT *` are shown although columns must be renamed."""
    database.execute('CREATE TABLE people AS SELECT 1 AS "Id", 2 AS cio_id')
    (seen,) = preview(Sync(main=PeopleQuery(sql="SELECT * FROM people")), PostgresSource(database.connect))
    assert [column.name for column in seen.columns] == ["Id", "cio_id"]
    assert seen.rows == [(1, 2)]
    assert seen.problem
    assert '"Id" AS id' in seen.problem
    assert '"cio_id" AS "cio_id_value"' in seen.problem
    assert seen.operations == []


def test_a_query_without_columns_has_no_identifier(database: Database) -> None:
    """Postgres accepts this query, so its columns are the problem."""
    (seen,) = preview(
        Sync(main=PeopleQuery(sql="SELECT FROM generate_series(1, 2)")), PostgresSource(database.connect)
    )
    assert seen.problem is not None
    assert "no column id or email" in seen.problem


def test_a_preview_keeps_long_rows_up_to_a_limit(database: Database) -> None:
    """A hundred long documents would need gigabytes. The next query is still read."""
    long = PeopleQuery(sql="SELECT n AS id, repeat('x', 900000) AS v FROM generate_series(1, 100) n")
    short = RelationshipsQuery(object_type_id="1", sql="SELECT 'a' AS id, 'b' AS object_id")
    first, second = preview(Sync(main=long, relationships=short), PostgresSource(database.connect))
    assert 0 < len(first.rows) < 100
    assert any("The preview has only" in warning for warning in first.warnings)
    assert len(second.rows) == 1


def test_a_role_that_may_not_see_locks_gets_a_preview_without_warnings(database: Database) -> None:
    """If the server hides the tables that a query reads, the types of their columns are not known."""
    role = f"{database.name}_role"
    database.execute(f"CREATE TABLE t (id text, day date); CREATE ROLE {role} LOGIN PASSWORD 'p'")
    database.execute(f"GRANT SELECT ON t TO {role}; REVOKE SELECT ON pg_catalog.pg_locks FROM PUBLIC")
    try:
        source = PostgresSource(lambda: psycopg.connect(database.uri, user=role, password="p"))
        (seen,) = preview(Sync(main=PeopleQuery(sql="SELECT id FROM t WHERE day >= to_timestamp(0)")), source)
        assert seen.problem is None
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_query_that_postgres_refuses_is_an_error(database: Database) -> None:
    """The preview is only the reason that Postgres gives."""
    with pytest.raises(QueryError, match="nowhere"):
        preview(Sync(main=PeopleQuery(sql="SELECT id FROM nowhere")), PostgresSource(database.connect))


@pytest.mark.parametrize(
    ("zone", "condition", "expected"),
    [
        ("UTC", "changed_on >= to_timestamp(1767225600)", ["changed_on: of type date"]),
        ("UTC", "t.changed_on > to_timestamp(1767225600)", ["changed_on: of type date"]),
        ("UTC", '"changed_on" >= to_timestamp( 1767225600 )', ["changed_on: of type date"]),
        ("UTC", "CHANGED_ON > to_timestamp(1767225600)::date", ["changed_on: of type date"]),
        ("UTC", "changed_on >= to_timestamp(1767225600)::date", []),
        ("UTC", "updated_at >= to_timestamp(1767225600)", []),
        (
            "America/New_York",
            "updated_at >= to_timestamp(1767225600)",
            ["updated_at: of type timestamp without"],
        ),
        ("America/New_York", "moved_at >= to_timestamp(1767225600)", []),
        ("Europe/Berlin", "true", []),
    ],
)
def test_a_preview_warns_about_comparisons_that_mean_something_else(
    database: Database, zone: str, condition: str, expected: list[str]
) -> None:
    """The types come from the tables that the query reads, also for columns that it does not select."""
    database.execute(
        "CREATE TABLE t (id int, changed_on date, updated_at timestamp, moved_at timestamptz);"
        f"ALTER DATABASE {database.name} SET timezone = '{zone}'"
    )
    query = f"SELECT id FROM t WHERE {condition}"
    (seen,) = preview(Sync(main=PeopleQuery(sql=query)), PostgresSource(database.connect))
    assert len(seen.warnings) == len(expected)
    assert all(warning.startswith(words) for warning, words in zip(seen.warnings, expected, strict=True))


def test_a_preview_warns_about_naive_columns_unless_the_zone_is_utc(database: Database) -> None:
    """This includes domains and arrays. The warning has the setting of the connection that fixes it."""
    database.execute(f"ALTER DATABASE {database.name} SET timezone = 'Asia/Tokyo'")
    query = "SELECT 1 AS id, now()::timestamp AS a, ARRAY[now()::timestamp] AS b, now() AS c"
    (seen,) = preview(Sync(main=PeopleQuery(sql=query)), PostgresSource(database.connect))
    (warning,) = seen.warnings
    assert warning.startswith("a, b: ")
    assert "-c timezone=UTC" in warning
