"""The sample database: the tables of `sample.sql`, and changes as its application would make them."""

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
"""Number of sign-ups that cannot be imported until they are corrected."""
KNOWN_EMAIL = "grace@example.org"
"""The address of one of them. It must belong to another person in the workspace."""

_SCRIPT = Path(__file__).with_name("sample.sql")


def create_sample_database(connection: psycopg.Connection) -> None:
    """Create the tables and their rows in an empty database."""
    connection.execute(_SCRIPT.read_bytes())


def ended_memberships(connection: psycopg.Connection) -> int:
    """Return the number of memberships whose person has left. A sync removes their relationships."""
    row = connection.execute("SELECT count(*) FROM memberships WHERE left_at IS NOT NULL").fetchone()
    return int(row[0]) if row else 0


def log_in(connection: psycopg.Connection, count: int) -> None:
    """Add a login to the first people, and set `updated_at` of their rows to now.

    Args:
        connection: A connection to the sample database.
        count: Number of people.
    """
    connection.execute(
        """
        UPDATE people SET logins = logins + 1, last_login_at = now(), updated_at = now()
        WHERE id IN (SELECT id FROM people ORDER BY id LIMIT %s)
        """,
        [count],
    )


def correct_signups(connection: psycopg.Connection) -> None:
    """Correct the mistakes in the sign-ups, and set `updated_at` of their rows to now."""
    connection.execute(
        """
        UPDATE signups SET
            card = 'card-' || line, email = lower(first_name) || line || '@example.com',
            remarks = left(remarks, 200), updated_at = now()
        WHERE line IN (127, 211, 305, 402)
        """
    )


def first_person(connection: psycopg.Connection) -> tuple[int, int]:
    """Return the id of the first person and their number of logins."""
    row = connection.execute("SELECT id, logins FROM people ORDER BY id LIMIT 1").fetchone()
    if row is None:
        raise LookupError("The sample database has no people.")
    return row[0], row[1]
