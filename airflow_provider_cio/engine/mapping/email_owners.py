"""Email addresses that two ids share: Customer.io accepts both rows and drops the second address later.

The search needs a fixed amount of memory. It uses an index and a file on disk, which hold only hashes.
"""

from __future__ import annotations

import os
import struct
import tempfile
import weakref
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine.scratch import scratch_database

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEMA = "CREATE TABLE owners (email INTEGER PRIMARY KEY, record_number INTEGER)"
# A chunk is one statement: SQLite lets other threads run during a statement, and not between statements.
_ADD = "INSERT OR IGNORE INTO owners SELECT value, key + :first FROM json_each(:emails)"
_TAKEN = """
SELECT key, record_number FROM json_each(:emails) JOIN owners ON email = value
WHERE record_number <> key + :first
"""
#: One record for each row: the hash of its id, and its row index.
_RECORD = struct.Struct("qq")


class EmailOwners:
    """Remembers the first id of each email address."""

    def __init__(self) -> None:
        self._index = scratch_database(self, _SCHEMA)
        self._records = tempfile.TemporaryFile()  # noqa: SIM115 - the finalizer closes it
        weakref.finalize(self, self._records.close)
        self._record_count = 0

    def conflicts(
        self, row_indexes: Sequence[int], emails: Sequence[str], ids: Sequence[str]
    ) -> dict[int, int]:
        """Add rows, and find those whose email address belongs to another id.

        Args:
            row_indexes: The indexes of the rows in the result.
            emails: Their email addresses.
            ids: Their ids.

        Returns:
            For the index of each conflicting row, the index of the first row with the same address.
        """
        first, self._record_count = self._record_count, self._record_count + len(row_indexes)
        id_hashes = list(map(hash, ids))
        self._records.write(b"".join(map(_RECORD.pack, id_hashes, row_indexes)))
        self._records.flush()
        email_hashes = msgspec.json.encode(list(map(hash, map(str.lower, emails)))).decode()
        chunk = {"first": first, "emails": email_hashes}
        if self._index.execute(_ADD, chunk).rowcount == len(row_indexes):
            return {}
        conflicts = {}
        for key, record_number in self._index.execute(_TAKEN, chunk):
            owner, owner_row_index = self._record(record_number)
            if owner != id_hashes[key]:
                conflicts[row_indexes[key]] = owner_row_index
        return conflicts

    def _record(self, number: int) -> tuple[int, int]:
        """Read the id hash and the row index of a record."""
        id_hash, row_index = _RECORD.unpack(
            os.pread(self._records.fileno(), _RECORD.size, number * _RECORD.size)
        )
        return id_hash, row_index
