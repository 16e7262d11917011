"""The same e-mail address under two ids: Customer.io accepts both rows and drops the second's address later.

Found while rows go by, in a fixed amount of memory: an index and a file on disk, which hold hashes only.
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

_SCHEMA = "CREATE TABLE owners (email INTEGER PRIMARY KEY, place INTEGER)"
# A chunk is one statement, so that other threads run meanwhile: between statements they would be waited for.
_ADD = "INSERT OR IGNORE INTO owners SELECT value, key + :first FROM json_each(:emails)"
_TAKEN = """
SELECT key, place FROM json_each(:emails) JOIN owners ON email = value WHERE place <> key + :first
"""
#: What is kept of each row: a hash of its id, and its number.
_ROW = struct.Struct("qq")


class EmailOwners:
    """Remembers which id an address was first seen with."""

    def __init__(self) -> None:
        self._index = scratch_database(self, _SCHEMA)
        self._rows = tempfile.TemporaryFile()  # noqa: SIM115 - closed as the index is
        weakref.finalize(self, self._rows.close)
        self._count = 0

    def clashes(self, numbers: Sequence[int], emails: Sequence[str], people: Sequence[str]) -> dict[int, int]:
        """Take the next rows and find addresses that belong to another id.

        Args:
            numbers: The rows' numbers.
            emails: Their addresses.
            people: Their ids.

        Returns:
            For each row at fault, the number of the row that had the address first.
        """
        first, self._count = self._count, self._count + len(numbers)
        ids = list(map(hash, people))
        self._rows.write(b"".join(map(_ROW.pack, ids, numbers)))
        self._rows.flush()
        hashes = msgspec.json.encode(list(map(hash, map(str.lower, emails)))).decode()
        chunk = {"first": first, "emails": hashes}
        if self._index.execute(_ADD, chunk).rowcount == len(numbers):
            return {}
        clashes = {}
        for key, place in self._index.execute(_TAKEN, chunk):
            owner, number = _ROW.unpack(os.pread(self._rows.fileno(), _ROW.size, place * _ROW.size))
            if owner != ids[key]:
                clashes[numbers[key]] = number
        return clashes
