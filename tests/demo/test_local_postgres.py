from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from demo.sample_database import PEOPLE, create_sample_database, first_person, log_in
from local.postgres import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKSUM = "SELECT md5(string_agg(people::text, '|' ORDER BY id)) FROM people"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    with LocalPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def connection(postgres: LocalPostgres) -> Iterator[psycopg.Connection]:
    """A connection to the sample database, freshly created."""
    with postgres.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        create_sample_database(connection)
        yield connection


def one(connection: psycopg.Connection, query: str) -> tuple[object, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def test_people_are_unique(connection: psycopg.Connection) -> None:
    """There are 5,000 people, each with an address of their own in a domain reserved for examples."""
    query = (
        "SELECT count(*), count(DISTINCT email), count(*) FILTER (WHERE email ~ '@example[.](com|net|org)$')"
    )
    assert one(connection, f"{query} FROM people") == (PEOPLE, PEOPLE, PEOPLE)


def test_columns_have_the_types_of_a_real_database(connection: psycopg.Connection) -> None:
    """The columns of people include every type a sync commonly meets."""
    person = one(
        connection,
        "SELECT id, email, plan, born_on, lifetime_value, logins, newsletter, interests, preferences,"
        " referral_code, updated_at FROM people WHERE id = 1001",
    )
    kinds = [int, str, str, dt.date, Decimal, int, bool, list, dict, UUID, dt.datetime]
    assert [type(value) for value in person] == kinds
    assert one(connection, "SELECT pg_typeof(plan)::text FROM people LIMIT 1") == ("plan",)


def test_some_values_are_null(connection: psycopg.Connection) -> None:
    """Some, and not all, people have no birthday and have never logged in."""
    query = "SELECT count(born_on) BETWEEN 1 AND 4999, count(last_login_at) BETWEEN 1 AND 4999 FROM people"
    assert one(connection, query) == (True, True)


def test_everyone_belongs_to_a_company(connection: psycopg.Connection) -> None:
    """Memberships relate all people to companies, some have ended."""
    query = "SELECT count(*), count(DISTINCT person_id), count(left_at) BETWEEN 1 AND 5999 FROM memberships"
    assert one(connection, query) == (6000, PEOPLE, True)
    assert one(connection, "SELECT count(DISTINCT company_id) FROM memberships") == (400,)


def test_the_rows_are_the_same_every_time(connection: psycopg.Connection) -> None:
    """Creating the sample database twice gives the same people."""
    first = one(connection, CHECKSUM)
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    create_sample_database(connection)
    assert one(connection, CHECKSUM) == first


def test_logging_in_changes_rows_as_of_now(connection: psycopg.Connection) -> None:
    """Only the people who log in have changed since, and the first of them has logged in once more."""
    now = one(connection, "SELECT now()")[0]
    person, logins = first_person(connection)
    log_in(connection, 50)
    changed = connection.execute("SELECT count(*) FROM people WHERE updated_at >= %s", [now]).fetchone()
    assert changed == (50,)
    assert first_person(connection) == (person, logins + 1)


def test_wants_its_password(postgres: LocalPostgres) -> None:
    """Nobody gets in without the password."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.uri.replace(postgres.password, "guess"))


def test_the_airflow_connection_leads_to_it(postgres: LocalPostgres) -> None:
    """The fields given to Airflow are those of the server."""
    fields = postgres.airflow_connection()
    with psycopg.connect(
        host=str(fields["host"]),
        port=str(fields["port"]),
        user=str(fields["login"]),
        password=str(fields["password"]),
        dbname=str(fields["schema"]),
    ) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After the block the server and its data are gone, even if a client was still connected."""
    with LocalPostgres(tmp_path_factory.mktemp("short")) as server:
        client = server.connect()
        data = Path(str(one(client, "SHOW data_directory")[0]))
        assert data.exists()
    assert not data.exists()
    with pytest.raises(psycopg.OperationalError):
        server.connect()
