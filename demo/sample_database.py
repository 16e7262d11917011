"""The sample database: created by `sample.sql`, and changed by its application now and then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

PEOPLE = 5_000
COMPANIES = 400
MEMBERSHIPS = 6_000
SIGNUPS = 500
MISTAKES = 4
"""Sign-ups that cannot be imported before somebody corrects them."""
KNOWN_EMAIL = "grace@example.org"
"""An address in one of them, which has to belong to somebody else in the workspace."""

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


def correct_signups(connection: psycopg.Connection) -> None:
    """Correct the mistakes in the sign-ups, as of now."""
    connection.execute(
        """
        UPDATE signups SET
            card = 'card-' || line, email = lower(first_name) || line || '@example.com',
            remarks = left(remarks, 200), updated_at = now()
        WHERE line IN (127, 211, 305, 402)
        """
    )


def first_person(connection: psycopg.Connection) -> tuple[int, int]:
    """The id of the first of the people, and how often they have logged in."""
    row = connection.execute("SELECT id, logins FROM people ORDER BY id LIMIT 1").fetchone()
    if row is None:
        raise LookupError("The sample database has no people.")
    return row[0], row[1]
