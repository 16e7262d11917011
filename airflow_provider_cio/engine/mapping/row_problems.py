"""Why rows cannot be sent."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class RowProblem(NamedTuple):
    """What is wrong with a row: Customer.io would drop it later, or it would spoil its whole batch.

    Args:
        field: What is at fault, as a path: ``identifiers.id``, ``attributes.email``.
        reason: ``required``, ``invalid``, ``too_large`` or ``duplicate``.
        message: A sentence for people. Holds no values of the row.
    """

    field: str
    reason: str
    message: str


#: By the rows' places in a chunk. The first fault of a row stays.
RowProblems: TypeAlias = dict[int, RowProblem]
