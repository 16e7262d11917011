"""From rows to operations. All that can be decided once per query is decided when its mapper is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from decimal import Decimal
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine.identifiers import UnsendableError
from airflow_provider_cio.engine.rejection import Rejection
from airflow_provider_cio.engine.values import FRACTIONS, JSON, finite, json_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.engine.operations import Operation
    from airflow_provider_cio.engine.source import Column, Row


class Mapper(ABC):
    """Turns the rows of one query into operations.

    Args:
        query: The query's name.
        columns: Its columns.
        on_rejection: Told of every row that cannot be sent.
    """

    def __init__(
        self, query: str, columns: Sequence[Column], on_rejection: Callable[[Rejection], None]
    ) -> None:
        self._query = query
        self._columns = [column.name for column in columns]
        self._on_rejection = on_rejection
        self._rows = 0
        self._fractions = [
            (index, _finite_test(column)) for index, column in enumerate(columns) if column.type in FRACTIONS
        ]
        self._json = [(index, column.name) for index, column in enumerate(columns) if column.type in JSON]

    @abstractmethod
    def operation(self, number: int, row: Row) -> Operation:
        """Turn a row into an operation.

        Raises:
            UnsendableError: Customer.io would drop it, or it would spoil its batch.
        """

    @abstractmethod
    def name(self, row: Row) -> str:
        """Name a row in a rejection: by its identifier, empty when it has none."""

    def operations(self, rows: list[Row]) -> Iterator[Operation]:
        """Give an operation for each row that can be sent, in row order."""
        for row in self._finite(rows):
            self._rows += 1
            try:
                if self._json:
                    self._check_json(row)
                yield self.operation(self._rows, row)
            except UnsendableError as fault:
                self.reject(self._rows, row, fault)

    def reject(self, number: int, row: Row, fault: UnsendableError) -> None:
        """Pass on a row that cannot be sent."""
        values = dict(zip(self._columns, row, strict=True))
        self._on_rejection(
            Rejection(self._query, number, self.name(row), fault.field, fault.reason, fault.message, values)
        )

    def _check_json(self, row: Row) -> None:
        """Refuse JSON that would spoil its batch."""
        for index, name in self._json:
            if row[index] is not None and (fault := json_fault(row[index])):
                raise UnsendableError(f"attributes.{name}", "invalid", f"{name} {fault}")

    def _finite(self, rows: list[Row]) -> list[Row]:
        """Make NULLs of NaN and infinity. They are rare, so rows are only rebuilt where there are some."""
        found = {
            index
            for index, is_finite in self._fractions
            if not all(map(is_finite, filter(None, map(itemgetter(index), rows))))
        }
        if not found:
            return rows
        return [
            tuple(finite(value) if index in found else value for index, value in enumerate(row))
            for row in rows
        ]


def _finite_test(column: Column) -> Callable[[Any], bool]:
    """Make a function that tells whether a value of the column holds numbers only."""
    if column.array:
        return lambda value: bool(finite(value) == value)
    return Decimal.is_finite if column.type == "numeric" else isfinite
