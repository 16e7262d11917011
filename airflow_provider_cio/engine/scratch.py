"""A database for the time of a run, on disk: what would take too much memory."""

from __future__ import annotations

import sqlite3
import weakref


def scratch_database(owner: object, schema: str) -> sqlite3.Connection:
    """Open an empty database that goes when its owner does.

    Args:
        owner: Who uses it.
        schema: Creates its tables.
    """
    # An empty name is a file that nobody else sees and that goes when the connection does.
    # Whichever thread drops the owner closes it.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    weakref.finalize(owner, database.close)
    database.executescript(
        f"PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -16384; {schema}; BEGIN"
    )
    return database
