"""What became of a batch, operation by operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_cio.errors import ItemError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.operations import Operation


class Workspace(Protocol):
    """Where operations go: a `TrackClient`.

    Attributes:
        max_concurrent_requests: How many lanes it takes operations on.
        requests: How many were made, repeated ones included.
        bytes_sent: How many bytes of body these had.
    """

    max_concurrent_requests: int
    requests: int
    bytes_sent: int

    def send_batch(self, operations: Sequence[bytes]) -> list[ItemError]:
        """Send a batch and return the errors of those operations that were rejected."""

    def stop(self) -> None:
        """Make waiting and coming requests raise `StoppedError`."""


@dataclass
class Verdicts:
    """The fate of operations that were sent.

    Args:
        accepted: Those that Customer.io took.
        rejected: The others, each with the first thing that is wrong with it.
    """

    accepted: list[Operation] = field(default_factory=list)
    rejected: list[tuple[Operation, ItemError]] = field(default_factory=list)

    def add(self, other: Verdicts) -> None:
        """Add the verdicts on other operations."""
        self.accepted += other.accepted
        self.rejected += other.rejected


def deliver(workspace: Workspace, operations: list[Operation]) -> Verdicts:
    """Send operations in one request, or in more where Customer.io refuses the whole.

    Raises:
        SyncError: No verdict came, or one that makes no sense.
    """
    verdicts = Verdicts()
    while operations:
        refused = False
        try:
            faults = _by_index(workspace.send_batch([operation.body for operation in operations]))
        except RefusedError as refusal:
            refused = True
            faults = _by_index(refusal.items)
            if not faults:
                verdicts.add(_halve(workspace, operations, refusal))
                break
        verdicts.rejected += [(operations[index], error) for index, error in faults.items()]
        others = operations
        if faults:
            others = [operation for index, operation in enumerate(operations) if index not in faults]
        if not refused:
            verdicts.accepted += others
            break
        operations = others  # a refusal accepts nothing, so they are sent again
    return verdicts


def _halve(workspace: Workspace, operations: list[Operation], refusal: RefusedError) -> Verdicts:
    """Find the operations that made Customer.io refuse a request without naming them."""
    if len(operations) == 1:
        error = ItemError(0, refusal.reason, refusal.field, refusal.message)
        return Verdicts(rejected=[(operations[0], error)])
    middle = len(operations) // 2
    verdicts = deliver(workspace, operations[:middle])
    verdicts.add(deliver(workspace, operations[middle:]))
    return verdicts


def _by_index(errors: Sequence[ItemError]) -> dict[int, ItemError]:
    """Give one error an operation: Customer.io may name several, and in any order."""
    merged: dict[int, ItemError] = {}
    for error in sorted(errors, key=lambda error: error.batch_index):
        first = merged.setdefault(error.batch_index, error)
        if first is not error:
            merged[error.batch_index] = ItemError(
                error.batch_index,
                first.reason,
                first.field,
                f"{first.message}; {error.field}: {error.message}",
            )
    return merged
