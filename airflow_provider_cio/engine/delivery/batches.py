"""A batch is delivered: in one request, or in smaller ones where Customer.io refuses the whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.delivery.refusals import Refusals
from airflow_provider_cio.engine.delivery.verdicts import Verdicts
from airflow_provider_cio.errors import RefusedError, SyncError
from airflow_provider_cio.track.rejected_operation import RejectedOperation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.delivery.workspace import Workspace
    from airflow_provider_cio.engine.mapping.operations import Operation


def deliver(workspace: Workspace, operations: list[Operation], refusals: Refusals | None = None) -> Verdicts:
    """Send operations in one request, or in more where Customer.io refuses the whole.

    Args:
        workspace: Takes the operations.
        operations: At most a request's worth.
        refusals: Notices when everything is refused; without it each operation is tried.

    Returns:
        The verdicts, in the order of the operations. Those until an error are kept beside it.
    """
    verdicts = Verdicts()
    try:
        _deliver(workspace, operations, refusals or Refusals(math.inf, math.inf), verdicts)
    except SyncError as error:
        verdicts.error = error
    return verdicts


def _deliver(
    workspace: Workspace, operations: list[Operation], refusals: Refusals, verdicts: Verdicts
) -> None:
    while operations:
        refusals.check()
        refusal: RefusedError | None = None
        try:
            faults = _by_index(workspace.send_batch([operation.body for operation in operations]))
        except RefusedError as error:
            refusal = error
            faults = _by_index(refusal.operations)
            if not faults:
                _halve(workspace, operations, refusal, refusals, verdicts)
                return
        verdicts.rejected += [(operations[index], error) for index, error in faults.items()]
        others = operations
        if faults:
            others = [operation for index, operation in enumerate(operations) if index not in faults]
        if not refusal:
            verdicts.accepted += others
            if others:
                refusals.accepted()
            return
        if others:
            refusals.refused(refusal)
        operations = others  # a refusal accepts nothing, so they are sent again


def _halve(
    workspace: Workspace,
    operations: list[Operation],
    refusal: RefusedError,
    refusals: Refusals,
    verdicts: Verdicts,
) -> None:
    """Find the operations that made Customer.io refuse a request without naming them."""
    if len(operations) == 1:
        error = RejectedOperation(0, refusal.reason, refusal.field, refusal.message)
        verdicts.rejected.append((operations[0], error))
        refusals.refused(refusal)
        return
    middle = len(operations) // 2
    _deliver(workspace, operations[:middle], refusals, verdicts)
    _deliver(workspace, operations[middle:], refusals, verdicts)


def _by_index(errors: Sequence[RejectedOperation]) -> dict[int, RejectedOperation]:
    """Give one error an operation: Customer.io may name several, and in any order."""
    merged: dict[int, RejectedOperation] = {}
    for error in sorted(errors, key=lambda error: error.batch_index):
        first = merged.setdefault(error.batch_index, error)
        if first is not error:
            merged[error.batch_index] = RejectedOperation(
                error.batch_index,
                first.reason,
                first.field,
                f"{first.message}; {error.field}: {error.message}",
            )
    return merged
