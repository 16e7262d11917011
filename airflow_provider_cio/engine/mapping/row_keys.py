"""The key of a row: the texts of its identifiers, by which a later run finds the row again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_cio.engine.value_text import value_text
from airflow_provider_cio.track.limits import IDENTIFIER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.sources import Column, Row

#: One text for each part of a key: the person or the object; for a relationship, both.
Key: TypeAlias = tuple[str, ...]


def is_usable(key: Key) -> bool:
    """Return whether a row can be found again by its key: no part is blank or longer than an identifier."""
    return bool(key) and all(part.strip() and len(part.encode()) <= IDENTIFIER_BYTES for part in key)


class RowKeys:
    """Returns the keys of the rows of one query.

    Args:
        parts: For each part of a key, the names of the columns that can hold it. The first column that is
            not NULL is used.
        columns: The columns of the query.
    """

    def __init__(self, parts: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
        indexes = {column.name: index for index, column in enumerate(columns)}
        self._parts = [[indexes[name] for name in part if name in indexes] for part in parts]
        self._padded = {index for index, column in enumerate(columns) if column.padded and not column.array}

    def of(self, row: Row) -> Key:
        """Return the key of a row. A part is empty if all of its columns are NULL."""
        return tuple(
            next((self._text(row, index) for index in part if row[index] is not None), "")
            for part in self._parts
        )

    def candidates(self, row: Row) -> set[Key]:
        """Return all keys that a row has or could have with another choice of its identifier."""
        if len(self._parts) > 1:
            return {self.of(row)}
        return {(self._text(row, index),) for index in self._parts[0] if row[index] is not None}

    def _text(self, row: Row, index: int) -> str:
        text = value_text(row[index])
        return text.rstrip(" ") if index in self._padded else text
