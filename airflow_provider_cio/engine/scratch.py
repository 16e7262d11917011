"""A temporary database on disk, for data of a run that would take too much memory."""

from __future__ import annotations

import sqlite3
import weakref


def scratch_database(owner: object, schema: str) -> sqlite3.Connection:
    """Open an empty database that is deleted together with its owner.

    Args:
        owner: The object that uses the database.
        schema: SQL that creates the tables.
    """
    # SQLite keeps a database without a name in a private file, which it deletes with the connection.
    # Any thread may drop the owner, and so close the connection.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    weakref.finalize(owner, database.close)
    database.executescript(
        f"PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -16384; {schema}; BEGIN"
    )
    return database
