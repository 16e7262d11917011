"""The sample database: created by `sample.sql`, and changed by its application now and then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

PEOPLE = 5_000
_SCRIPT = Path(__file__).with_name("sample.sql")


def create_sample_database(connection: psycopg.Connection) -> None:
    """Create the tables and their rows, in an empty database."""
    connection.execute(_SCRIPT.read_bytes())


def log_in(connection: psycopg.Connection, count: int) -> None:
    """Let the first people, this many, log in once more: it changes their rows, as of now."""
    connection.execute(
        """
        UPDATE people SET logins = logins + 1, last_login_at = now(), updated_at = now()
        WHERE id IN (SELECT id FROM people ORDER BY id LIMIT %s)
        """,
        [count],
    )


def first_person(connection: psycopg.Connection) -> tuple[int, int]:
    """The id of the first of the people, and how often they have logged in."""
    row = connection.execute("SELECT id, logins FROM people ORDER BY id LIMIT 1").fetchone()
    if row is None:
        raise LookupError("The sample database has no people.")
    return row[0], row[1]
