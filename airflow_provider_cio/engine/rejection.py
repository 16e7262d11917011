"""A row that was refused, by us or by Customer.io."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused row.

    Args:
        query: The query it came from: ``people``.
        row: Its place in the query's result, from 1.
        identifier: The person's identifier, empty when the row has none.
        field: What is at fault, as a path: ``identifiers.id``, ``attributes.plan``.
        reason: ``required``, ``invalid``, ``too_large``, or Customer.io's own word.
        message: A sentence for people. Holds no values of the row.
    """

    query: str
    row: int
    identifier: str
    field: str
    reason: str
    message: str
