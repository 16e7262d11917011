"""From rows to operations. Everything that can be decided once per query is decided when its mapper is made.

A chunk of rows is transposed, so that each column is checked and encoded as a whole. In Python this is
several times faster than value by value.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow_provider_cio.engine.mapping.json_values import finite, json_problem
from airflow_provider_cio.engine.mapping.operations import Operation, encode
from airflow_provider_cio.engine.mapping.row_problems import RowProblem
from airflow_provider_cio.engine.outcome.rejection import Rejection
from airflow_provider_cio.engine.sources.column import Kind
from airflow_provider_cio.track.limits import OPERATION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    import msgspec

    from airflow_provider_cio.engine.mapping.row_keys import RowKeys
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.sources import Column, Row

#: The values of one column in a chunk of rows.
Values: TypeAlias = "Sequence[Any]"


class Payloads(NamedTuple):
    """What a chunk of rows will send, one entry for each row.

    Args:
        order_keys: Operations with the same key are applied in row order.
        payloads: The operations, not encoded yet.
    """

    order_keys: Sequence[str]
    payloads: Iterable[msgspec.Struct]


class Mapper(ABC):
    """Turns the rows of one query into operations.

    Args:
        query: The name of the kind of query.
        keys: Returns the keys of its rows.
        columns: The columns of the query.
        identifiers: The names of the columns that identify a person or an object.
        on_rejection: Called with each row that cannot be sent.
    """

    def __init__(
        self,
        query: str,
        keys: RowKeys,
        columns: Sequence[Column],
        identifiers: Collection[str],
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        self._query = query
        self._keys = keys
        self._names = [column.name for column in columns]
        self._on_rejection = on_rejection
        self._row_count = 0
        self._fractions = [
            (column_index, _finite_test(column))
            for column_index, column in enumerate(columns)
            if column.kind in (Kind.FLOAT, Kind.DECIMAL)
        ]
        self._padded = [
            column_index
            for column_index, column in enumerate(columns)
            if column.padded and not column.array and column.name in identifiers
        ]
        self._json = [
            (column_index, column.name)
            for column_index, column in enumerate(columns)
            if column.kind is Kind.JSON
        ]

    @abstractmethod
    def _payloads(self, columns: Sequence[Values], problems: RowProblems) -> Payloads:
        """Return what each row of a chunk sends.

        Args:
            columns: The values of the chunk, by column.
            problems: Receives the rows that cannot be sent. Their payloads are not used.
        """

    def _find_conflicts(self, first: int, columns: Sequence[Values], problems: RowProblems) -> None:  # noqa: B027 - most kinds have none
        """Find rows that are valid by themselves, and in conflict with an earlier row of the query.

        Args:
            first: The index of the chunk's first row in the result.
            columns: The values of the chunk, by column.
            problems: The rows that cannot be sent; receives more of them.
        """

    def to_operations(self, rows: list[Row]) -> list[Operation]:
        """Return an operation for each row that can be sent, in row order. The other rows are rejected.

        Args:
            rows: The next rows of the query, at least one.
        """
        first = self._row_count + 1
        self._row_count += len(rows)
        problems: RowProblems = {}
        columns = self._transpose(rows)
        self._check_json(columns, problems)
        order_keys, payloads = self._payloads(columns, problems)
        bodies = encode(payloads, contain_json=bool(self._json))
        _check_sizes(bodies, problems)
        self._find_conflicts(first, columns, problems)
        operations = list(map(Operation, itertools.count(first), order_keys, bodies))
        for index in sorted(problems):
            self._reject(first + index, tuple(column[index] for column in columns), problems[index])
        if problems:
            return [operation for index, operation in enumerate(operations) if index not in problems]
        return operations

    def _transpose(self, rows: list[Row]) -> list[Values]:
        """Return the chunk by columns, with NULLs for NaN and infinity, and without padded identifiers."""
        columns: list[Values] = list(zip(*rows, strict=True))
        for column_index, is_finite in self._fractions:
            if not all(map(is_finite, filter(None, columns[column_index]))):
                columns[column_index] = list(map(finite, columns[column_index]))
        for column_index in self._padded:
            columns[column_index] = [value and value.rstrip(" ") for value in columns[column_index]]
        return columns

    def _check_json(self, columns: Sequence[Values], problems: RowProblems) -> None:
        """Find JSON that would make its whole batch unreadable."""
        for column_index, name in self._json:
            for index, value in enumerate(columns[column_index]):
                if value is not None and (problem := json_problem(value)):
                    problems.setdefault(
                        index, RowProblem(f"attributes.{name}", "invalid", f"{name} {problem}")
                    )

    def _reject(self, row_index: int, row: Row, problem: RowProblem) -> None:
        values = dict(zip(self._names, row, strict=True))
        key = self._keys.of(row)
        self._on_rejection(Rejection(self._query, row_index, key[0], *problem, values, key))


def _check_sizes(bodies: Sequence[bytes], problems: RowProblems) -> None:
    """Find operations that are larger than Customer.io accepts."""
    if max(map(len, bodies)) <= OPERATION_BYTES:
        return
    for index, body in enumerate(bodies):
        if len(body) > OPERATION_BYTES:
            message = f"the row has {len(body):,} bytes of JSON, and Customer.io accepts {OPERATION_BYTES:,}"
            problems.setdefault(index, RowProblem("attributes", "too_large", message))


def _finite_test(column: Column) -> Callable[[Any], bool]:
    """Return a function that returns whether a value of the column has no NaN and no infinity."""
    if column.array:
        return lambda value: bool(finite(value) == value)
    return Decimal.is_finite if column.kind is Kind.DECIMAL else isfinite
