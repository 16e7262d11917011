"""What became of a batch, operation by operation."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_cio.errors import ConfigurationError, ItemError, RefusedError, SyncError
from airflow_provider_cio.track.limits import LATER_REFUSALS, REFUSALS

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
        error: Why there is no verdict on the rest; None when there is one on each.
    """

    accepted: list[Operation] = field(default_factory=list)
    rejected: list[tuple[Operation, ItemError]] = field(default_factory=list)
    error: SyncError | None = None


class Refusals:
    """Notices that Customer.io, or something in front of it, refuses everything.

    A batch that is refused without a usable index is halved, down to single operations. Where the first of
    these are all refused in the same words and nothing has been accepted, it is not about the rows. Halving
    the rest would be thousands of requests, and every row would be blamed. Later in a run, rows that share a
    mistake may follow each other, so many more have to be refused without one being accepted.

    Shared by all lanes of a delivery.

    Args:
        limit: How many refusals are enough at the beginning.
        later_limit: How many in a row are enough afterwards.
    """

    def __init__(self, limit: float = REFUSALS, later_limit: float = LATER_REFUSALS) -> None:
        self._limit = limit
        self._later_limit = later_limit
        self._words: tuple[str, str, str] | None = None
        self._count = 0
        self._error: ConfigurationError | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Stop sending.

        Raises:
            ConfigurationError: Everything was refused.
        """
        if self._error:
            raise self._error

    def accepted(self) -> None:
        """Count anew: the workspace takes operations."""
        with self._lock:
            self._limit = self._later_limit
            self._words, self._count = None, 0

    def refused(self, refusal: RefusedError) -> None:
        """Count a refusal that was about one operation, or one that leaves others to be sent again."""
        with self._lock:
            words = (refusal.field, refusal.reason, _without_numbers(refusal.message))
            if self._words not in (None, words):
                self._limit = self._later_limit
                self._count = 0
            self._words = words
            self._count += 1
            if self._count >= self._limit:
                self._error = ConfigurationError(
                    f"Customer.io, or a gateway in front of it, refused {self._count} rows in a row that were"
                    f" sent one by one, all in the same words ({_shown(refusal)}). They are in the report."
                    " Check the host of the connection, and what these rows have in common."
                )


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
            faults = _by_index(refusal.items)
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
        error = ItemError(0, refusal.reason, refusal.field, refusal.message)
        verdicts.rejected.append((operations[0], error))
        refusals.refused(refusal)
        return
    middle = len(operations) // 2
    _deliver(workspace, operations[:middle], refusals, verdicts)
    _deliver(workspace, operations[middle:], refusals, verdicts)


def _without_numbers(sentence: str) -> str:
    """Leave out words with a digit: gateways add the number of a request to their sentences."""
    return " ".join(word for word in sentence.split() if not any(map(str.isdigit, word)))


def _shown(refusal: RefusedError) -> str:
    """Return what may be shown of a refusal: words, and no sentence, which could quote a value."""
    words = [word for word in (refusal.field, refusal.reason) if re.fullmatch(r"[\w.\[\]-]{1,80}", word)]
    return ": ".join(words) or "the report has them"


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
