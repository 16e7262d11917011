"""Previews: what a sync would do, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.engine import ObjectsQuery, PeopleQuery, RelationshipsQuery, Source, Sync
from airflow_provider_cio.engine.preview import preview
from airflow_provider_cio.errors import QueryError

if TYPE_CHECKING:
    from tests.conftest import Database


def test_the_first_100_rows_of_every_query_are_mapped(database: Database) -> None:
    """Rows, operations and what would be refused, of the beginning of each query."""
    people = "SELECT nullif(n, 3) AS id, 'p' || n AS name FROM generate_series(1, 5000) n; -- all of them"
    relationships = "SELECT 'a' AS id, 'b' AS object_id WHERE false"
    sync = Sync(
        main=PeopleQuery(sql=people, identify_by="id"),
        relationships=RelationshipsQuery(sql=relationships, object_type_id="1"),
    )
    main, related = preview(sync, Source(database.connect))
    assert (main.query, len(main.rows), main.rows[99]) == ("people", 100, (100, "p100"))
    assert len(main.operations) == 99
    assert main.operations[0].body == (
        b'{"type":"person","identifiers":{"id":"1"},"attributes":{"name":"p1"},"action":"identify"}'
    )
    assert [(each.row, each.field, each.reason) for each in main.rejections] == [
        (3, "identifiers.id", "required")
    ]
    assert (related.query, related.rows, related.operations) == ("relationships", [], [])


def test_columns_have_the_types_of_the_query(database: Database) -> None:
    """Also those that are read as text, and arrays."""
    database.execute("CREATE TYPE plan AS ENUM ('free')")
    query = "SELECT 'x' AS object_id, 'free'::plan, ARRAY['free'::plan] AS plans, 1.5 AS price, now() AS at"
    (seen,) = preview(Sync(main=ObjectsQuery(sql=query, object_type_id="1")), Source(database.connect))
    assert [(column.name, column.postgres_type) for column in seen.columns] == [
        ("object_id", "text"),
        ("plan", "plan"),
        ("plans", "plan[]"),
        ("price", "numeric"),
        ("at", "timestamp with time zone"),
    ]


def test_columns_that_cannot_be_used_are_shown_with_what_mends_them(database: Database) -> None:
    """`SELECT *` shows what there is, whatever has to be renamed."""
    database.execute('CREATE TABLE people AS SELECT 1 AS "Id", 2 AS cio_id')
    (seen,) = preview(Sync(main=PeopleQuery(sql="SELECT * FROM people")), Source(database.connect))
    assert [column.name for column in seen.columns] == ["Id", "cio_id"]
    assert seen.rows == [(1, 2)]
    assert seen.fault
    assert '"Id" AS id' in seen.fault
    assert '"cio_id" AS "cio_id_value"' in seen.fault
    assert seen.operations == []


def test_a_query_that_postgres_refuses_is_an_error(database: Database) -> None:
    """There is nothing to show then but Postgres's reason."""
    with pytest.raises(QueryError, match="nowhere"):
        preview(Sync(main=PeopleQuery(sql="SELECT id FROM nowhere")), Source(database.connect))
