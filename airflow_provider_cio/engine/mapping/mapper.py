"""From rows to operations. All that can be decided once per query is decided when its mapper is made.

A chunk of rows is turned on its side: columns are checked and encoded as a whole, which Python does several
times faster than value by value.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow_provider_cio.engine.mapping.operations import Operation, bodies_of
from airflow_provider_cio.engine.mapping.row_problems import RowProblem
from airflow_provider_cio.engine.outcome.rejection import Rejection
from airflow_provider_cio.engine.sources.postgres.values import FRACTIONS, JSON, finite, json_fault
from airflow_provider_cio.track.limits import OPERATION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from airflow_provider_cio.engine.mapping.operations import Content
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.sources import Column, Row

#: A column's values in a chunk of rows.
Values: TypeAlias = "Sequence[Any]"


class Mapped(NamedTuple):
    """A chunk of rows on its way to operations, one of each a row.

    Args:
        keys: Operations with the same key are applied in row order.
        contents: What will be encoded.
    """

    keys: Sequence[str]
    contents: Iterable[Content]


class Mapper(ABC):
    """Turns the rows of one query into operations.

    Args:
        query: The query's name.
        columns: Its columns.
        identifiers: Those that name a person or an object.
        on_rejection: Told of every row that cannot be sent.
    """

    def __init__(
        self,
        query: str,
        columns: Sequence[Column],
        identifiers: Collection[str],
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        self._query = query
        self._names = [column.name for column in columns]
        self._on_rejection = on_rejection
        self._rows = 0
        self._fractions = [
            (place, _finite_test(column)) for place, column in enumerate(columns) if column.type in FRACTIONS
        ]
        self._padded = [
            place
            for place, column in enumerate(columns)
            if column.type == "bpchar" and column.name in identifiers
        ]
        self._json = [(place, column.name) for place, column in enumerate(columns) if column.type in JSON]

    @abstractmethod
    def map(self, columns: Sequence[Values], faults: RowProblems) -> Mapped:
        """Turn a chunk of rows, given by its columns, into what operations are made of.

        Args:
            columns: The query's columns.
            faults: Gets the rows that cannot be sent; what is returned for these is not used.
        """

    @abstractmethod
    def name(self, row: Row) -> str:
        """Name a row in a rejection: by its identifier, empty when it has none."""

    def compare(self, first: int, columns: Sequence[Values], faults: RowProblems) -> None:  # noqa: B027 - most have none
        """Find rows that can be sent, but not beside others of the query.

        Args:
            first: The number of the chunk's first row.
            columns: The query's columns.
            faults: Has the rows that cannot be sent, and gets more.
        """

    def operations(self, rows: list[Row]) -> list[Operation]:
        """Give an operation for each row that can be sent, in row order; the others are rejected.

        Args:
            rows: The next rows, at least one.
        """
        first = self._rows + 1
        self._rows += len(rows)
        faults: RowProblems = {}
        columns = self._columns(rows)
        self._check_json(columns, faults)
        keys, contents = self.map(columns, faults)
        bodies = bodies_of(contents, hold_json=bool(self._json))
        _check_sizes(bodies, faults)
        self.compare(first, columns, faults)
        operations = list(map(Operation, itertools.count(first), keys, bodies))
        for place in sorted(faults):
            self._reject(first + place, tuple(column[place] for column in columns), faults[place])
        if faults:
            return [operation for place, operation in enumerate(operations) if place not in faults]
        return operations

    def _columns(self, rows: list[Row]) -> list[Values]:
        """Turn a chunk on its side, make NULLs of NaN and infinity, and cut the padding off identifiers."""
        columns: list[Values] = list(zip(*rows, strict=True))
        for place, is_finite in self._fractions:
            if not all(map(is_finite, filter(None, columns[place]))):
                columns[place] = list(map(finite, columns[place]))
        for place in self._padded:  # to Postgres, the spaces at the end of a char(n) mean nothing
            columns[place] = [value and value.rstrip(" ") for value in columns[place]]
        return columns

    def _check_json(self, columns: Sequence[Values], faults: RowProblems) -> None:
        """Find JSON that would spoil its batch."""
        for place, name in self._json:
            for row, value in enumerate(columns[place]):
                if value is not None and (fault := json_fault(value)):
                    faults.setdefault(row, RowProblem(f"attributes.{name}", "invalid", f"{name} {fault}"))

    def _reject(self, number: int, row: Row, fault: RowProblem) -> None:
        values = dict(zip(self._names, row, strict=True))
        self._on_rejection(Rejection(self._query, number, self.name(row), *fault, values))


def _check_sizes(bodies: Sequence[bytes], faults: RowProblems) -> None:
    """Find operations that are larger than Customer.io takes."""
    if max(map(len, bodies)) <= OPERATION_BYTES:
        return
    for place, body in enumerate(bodies):
        if len(body) > OPERATION_BYTES:
            message = (
                f"the row makes {len(body)} bytes of JSON, more than the {OPERATION_BYTES} that are allowed"
            )
            faults.setdefault(place, RowProblem("attributes", "too_large", message))


def _finite_test(column: Column) -> Callable[[Any], bool]:
    """Make a function that tells whether a value of the column holds numbers only."""
    if column.array:
        return lambda value: bool(finite(value) == value)
    return Decimal.is_finite if column.type == "numeric" else isfinite
