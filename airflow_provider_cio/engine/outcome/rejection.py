"""A row that was refused, by us or by Customer.io."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused row.

    Args:
        query: The query it came from: ``people``.
        row: Its place in the query's result, from 1.
        identifier: The person's or the object's identifier, empty when the row has none.
        field: What is at fault, as a path: ``identifiers.id``, ``attributes.plan``.
        reason: ``required``, ``invalid``, ``too_large``, ``duplicate``, ``failed_attribute_change``, or
            Customer.io's own word.
        message: A sentence for people. Holds no values of the row.
        values: The row, by column; people's data, which belongs into the report and nowhere else.
    """

    query: str
    row: int
    identifier: str
    field: str
    reason: str
    message: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)


class Report(Protocol):
    """Where rejections go."""

    def expect(self, columns: list[str]) -> None:
        """Be told, before anything else, which columns the queries have."""

    def add(self, rejection: Rejection) -> None:
        """Keep a rejection."""


class Rejections(list[Rejection]):
    """A report in memory, for when rejections are few."""

    def expect(self, columns: list[str]) -> None:
        """Nothing to prepare."""

    def add(self, rejection: Rejection) -> None:
        """Keep a rejection."""
        self.append(rejection)
