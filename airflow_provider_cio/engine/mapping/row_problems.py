"""Why a row cannot be sent."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class RowProblem(NamedTuple):
    """Why a row cannot be sent: Customer.io would drop it later, or it would spoil its whole batch.

    Args:
        field: The path of the value, such as ``identifiers.id`` or ``attributes.email``.
        reason: ``required``, ``invalid``, ``too_large`` or ``duplicate``.
        message: A sentence for people. It holds no values of the row.
    """

    field: str
    reason: str
    message: str


#: The problems of a chunk of rows, by the index of the row in the chunk. Of several problems of one row, the
#: first is kept.
RowProblems: TypeAlias = dict[int, RowProblem]
