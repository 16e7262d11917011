from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from local.sample_database import PEOPLE, create_sample_database, first_person, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.postgres import LocalPostgres

CHECKSUM = "SELECT md5(string_agg(people::text, '|' ORDER BY id)) FROM people"


@pytest.fixture
def connection(postgres: LocalPostgres) -> Iterator[psycopg.Connection]:
    """Connect to a new database with the sample data."""
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE sample")
    with psycopg.connect(postgres.uri.rpartition("/")[0] + "/sample", autocommit=True) as sample:
        create_sample_database(sample)
        yield sample
    with postgres.connect() as connection:
        connection.execute("DROP DATABASE sample WITH (FORCE)")


def one(connection: psycopg.Connection, query: str) -> tuple[object, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def test_people_are_unique(connection: psycopg.Connection) -> None:
    """There are 5,000 people. Their addresses are unique, in a domain reserved for examples."""
    query = (
        "SELECT count(*), count(DISTINCT email), count(*) FILTER (WHERE email ~ '@example[.](com|net|org)$')"
    )
    assert one(connection, f"{query} FROM people") == (PEOPLE, PEOPLE, PEOPLE)


def test_columns_have_the_types_of_a_real_database(connection: psycopg.Connection) -> None:
    """The columns of people include every common type."""
    person = one(
        connection,
        "SELECT id, email, plan, born_on, lifetime_value, logins, newsletter, interests, preferences,"
        " referral_code, updated_at FROM people WHERE id = 1001",
    )
    kinds = [int, str, str, dt.date, Decimal, int, bool, list, dict, UUID, dt.datetime]
    assert [type(value) for value in person] == kinds
    assert one(connection, "SELECT pg_typeof(plan)::text FROM people LIMIT 1") == ("plan",)


def test_some_values_are_null(connection: psycopg.Connection) -> None:
    """Some people, but not all, have no birthday or have never logged in."""
    query = "SELECT count(born_on) BETWEEN 1 AND 4999, count(last_login_at) BETWEEN 1 AND 4999 FROM people"
    assert one(connection, query) == (True, True)


def test_each_person_belongs_to_a_company(connection: psycopg.Connection) -> None:
    """Memberships relate all people to companies. Some memberships have ended."""
    query = "SELECT count(*), count(DISTINCT person_id), count(left_at) BETWEEN 1 AND 5999 FROM memberships"
    assert one(connection, query) == (6000, PEOPLE, True)
    assert one(connection, "SELECT count(DISTINCT company_id) FROM memberships") == (400,)


def test_the_rows_are_the_same_every_time(connection: psycopg.Connection) -> None:
    """Creating the sample database twice creates the same people."""
    first = one(connection, CHECKSUM)
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    create_sample_database(connection)
    assert one(connection, CHECKSUM) == first


def test_a_login_changes_the_row_and_its_time(connection: psycopg.Connection) -> None:
    """Only the rows of the people who log in change, and each has one login more."""
    now = one(connection, "SELECT now()")[0]
    person, logins = first_person(connection)
    log_in(connection, 50)
    changed = connection.execute("SELECT count(*) FROM people WHERE updated_at >= %s", [now]).fetchone()
    assert changed == (50,)
    assert first_person(connection) == (person, logins + 1)
