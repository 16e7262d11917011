"""Send one batch, and split it where Customer.io refuses the whole request."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.delivery.refusal_limit import RefusalLimit
from airflow_provider_cio.engine.delivery.verdicts import Verdicts
from airflow_provider_cio.errors import RefusedError, SyncError
from airflow_provider_cio.track.rejected_operation import RejectedOperation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.delivery.workspace import Workspace
    from airflow_provider_cio.engine.mapping.operations import Operation


def deliver(
    workspace: Workspace, operations: list[Operation], refusal_limit: RefusalLimit | None = None
) -> Verdicts:
    """Send operations until each of them has a verdict, or until an error ends the run.

    Args:
        workspace: Receives the operations.
        operations: The operations of one batch.
        refusal_limit: Ends the run when Customer.io refuses everything. Without it, every operation is tried.

    Returns:
        The verdicts in row order, together with the error if there was one.
    """
    verdicts = Verdicts()
    refusal_limit = refusal_limit or RefusalLimit(math.inf, math.inf)
    unsent = [operations]  # a stack: the first part of a batch that was split is on top
    try:
        while unsent:
            refusal_limit.check()
            batch = unsent.pop()
            try:
                rejections = workspace.send_batch([operation.body for operation in batch])
            except RefusedError as refusal:
                unsent += _handle_refusal(batch, refusal, refusal_limit, verdicts)
            else:
                accepted = _reject(batch, rejections, verdicts)
                verdicts.accepted += accepted
                if accepted:
                    refusal_limit.count_accepted()
    except SyncError as error:
        verdicts.error = error
    return verdicts


def _handle_refusal(
    batch: list[Operation], refusal: RefusedError, refusal_limit: RefusalLimit, verdicts: Verdicts
) -> list[list[Operation]]:
    """Reject the operations that a refusal is about. Nothing of the batch was accepted.

    Returns:
        The batches to send instead, the last one first.
    """
    if refusal.operations:
        others = _reject(batch, refusal.operations, verdicts)
        if not others:
            return []
        refusal_limit.count_refused(refusal)
        return [others]
    if len(batch) == 1:
        _reject(batch, [RejectedOperation(0, refusal.reason, refusal.field, refusal.message)], verdicts)
        refusal_limit.count_refused(refusal)
        return []
    # The refusal does not name the operations that it is about: halve the batch until they are found.
    middle = len(batch) // 2
    return [batch[middle:], batch[:middle]]


def _reject(
    batch: list[Operation], rejections: Sequence[RejectedOperation], verdicts: Verdicts
) -> list[Operation]:
    """Add rejections to the verdicts, and return the other operations of the batch."""
    if not rejections:
        return batch
    by_index = _by_index(rejections)
    verdicts.rejected += [(batch[index], rejected) for index, rejected in by_index.items()]
    return [operation for index, operation in enumerate(batch) if index not in by_index]


def _by_index(rejections: Sequence[RejectedOperation]) -> dict[int, RejectedOperation]:
    """Merge the rejections of each operation: Customer.io may send several, and in any order."""
    merged: dict[int, RejectedOperation] = {}
    for rejected in sorted(rejections, key=lambda rejected: rejected.batch_index):
        first = merged.setdefault(rejected.batch_index, rejected)
        if first is not rejected:
            merged[rejected.batch_index] = RejectedOperation(
                rejected.batch_index,
                first.reason,
                first.field,
                f"{first.message}; {rejected.field}: {rejected.message}",
            )
    return merged
