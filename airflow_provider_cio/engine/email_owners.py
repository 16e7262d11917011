"""The same e-mail address under two ids: Customer.io accepts both rows and drops the second's address later.

Found while rows go by, in a fixed amount of memory: an index on disk, which holds hashes only.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEMA = """
PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -16384;
CREATE TABLE owners (email INTEGER PRIMARY KEY, person INTEGER, row INTEGER);
CREATE TABLE chunk (email INTEGER, person INTEGER, row INTEGER);
BEGIN;
"""


class EmailOwners:
    """Remembers which id an address was first seen with."""

    def __init__(self) -> None:
        # An empty name is a file that nobody else sees and that goes when the connection does.
        self._index = sqlite3.connect("", isolation_level=None)
        self._index.executescript(_SCHEMA)

    def clashes(self, rows: Sequence[tuple[int, str, str]]) -> dict[int, int]:
        """Take the next rows and find addresses that belong to another id.

        Args:
            rows: The number, address and id of each.

        Returns:
            For each row at fault, the number of the row that had the address first.
        """
        hashes = [(hash(email.lower()), hash(person), number) for number, email, person in rows]
        new = self._index.executemany("INSERT OR IGNORE INTO owners VALUES (?, ?, ?)", hashes).rowcount
        if new == len(rows):
            return {}
        self._index.execute("DELETE FROM chunk")
        self._index.executemany("INSERT INTO chunk VALUES (?, ?, ?)", hashes)
        return dict(
            self._index.execute(
                "SELECT chunk.row, owners.row FROM chunk JOIN owners USING (email)"
                " WHERE chunk.person <> owners.person"
            )
        )
