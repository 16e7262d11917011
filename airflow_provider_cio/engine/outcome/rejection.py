"""A row that was refused, by us or by Customer.io."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused row.

    Args:
        query: The kind of its query, such as ``people``.
        row_index: The index of the row in the query's result, from 1.
        identifier: The identifier of the person or the object; empty where the row has none.
        field: The path of the value that was refused: ``identifiers.id``, ``attributes.plan``.
        reason: ``required``, ``invalid``, ``too_large``, ``duplicate``, ``failed_attribute_change``, or
            another reason that Customer.io gives.
        message: A sentence for people. A sentence of Customer.io can quote values of the row.
        values: The values of the row, by column. They are people's data, for the report only.
        key: The texts of all identifiers of the row, by which it is found again.
        failing_since: When the row was rejected for the first time, if the sync remembers failed rows.
        tries: How many times it was rejected, if the sync remembers failed rows.
    """

    query: str
    row_index: int
    identifier: str
    field: str
    reason: str
    message: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    key: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    failing_since: dt.datetime | None = dataclasses.field(default=None, compare=False)
    tries: int | None = dataclasses.field(default=None, compare=False)


class Report(Protocol):
    """Receives the rejections of a run."""

    def expect(self, columns: list[str]) -> None:
        """Receive the names of all columns of the queries. Called once, before the first rejection."""

    def add(self, rejection: Rejection) -> None:
        """Add a rejection."""


class Rejections(list[Rejection]):
    """A report in memory, for a small number of rejections."""

    def expect(self, columns: list[str]) -> None:
        """Do nothing: each rejection holds the names of its columns."""

    def add(self, rejection: Rejection) -> None:
        """Add a rejection."""
        self.append(rejection)
