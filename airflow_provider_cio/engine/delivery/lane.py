"""A lane: a sequence of batches with one request in flight, so that operations arrive in row order."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.track.limits import BATCH_BYTES, ENVELOPE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from airflow_provider_cio.engine.delivery.verdicts import Verdicts
    from airflow_provider_cio.engine.mapping.operations import Operation

#: One batch in flight and one that waits, so that the next request begins as soon as a response arrives.
_QUEUED_BATCHES = 2


class Lane:
    """Collects operations into batches, and delivers the batches one after the other in its own thread.

    Args:
        deliver: Delivers a batch and returns its verdicts. Called in the thread of the lane.
        on_verdicts: Receives the verdicts of each batch, in the order in which the batches were sent. Called
            in the thread that uses the lane.
    """

    def __init__(
        self, deliver: Callable[[list[Operation]], Verdicts], on_verdicts: Callable[[Verdicts], None]
    ) -> None:
        self._deliver = deliver
        self._on_verdicts = on_verdicts
        self._worker = Worker("customerio-lane")
        self._queued: deque[Future[Verdicts]] = deque()
        self._start_batch()

    @property
    def unsent_bytes(self) -> int:
        """The size of a request with all operations that are not sent yet."""
        return self._bytes

    def add(self, operations: Sequence[Operation]) -> None:
        """Add operations, and send each batch that is full.

        This waits while two batches are queued, so that rows are not read faster than they are delivered.

        Raises:
            SyncError: An earlier batch got no verdict.
        """
        sizes = [len(operation.body) + 1 for operation in operations]  # with a comma
        if self._bytes + sum(sizes) <= BATCH_BYTES:
            self._batch += operations
            self._bytes += sum(sizes)
            return
        for operation, size in zip(operations, sizes, strict=True):
            if self._bytes + size > BATCH_BYTES:
                self.send()
            self._batch.append(operation)
            self._bytes += size

    def send(self) -> None:
        """Queue the operations that are not sent yet as a batch.

        Raises:
            SyncError: An earlier batch got no verdict.
        """
        while len(self._queued) >= _QUEUED_BATCHES:
            self._wait_for_oldest()
        if self._batch:
            self._queued.append(self._worker.submit(self._deliver, self.take_unsent()))

    def take_unsent(self) -> list[Operation]:
        """Remove the operations that are not sent yet from the lane, and return them."""
        batch = self._batch
        self._start_batch()
        return batch

    def wait(self) -> None:
        """Wait for the verdicts on all queued batches.

        Raises:
            SyncError: A batch got no verdict.
        """
        while self._queued:
            self._wait_for_oldest()

    def close(self) -> None:
        """Send no other batch. A request in flight ends by itself, and nothing waits for it."""
        self._worker.close()

    def collect_verdicts(self, seconds: float) -> None:
        """Pass on the verdicts on queued batches that arrive within this time."""
        end = time.monotonic() + seconds
        for future in self._queued:
            with suppress(CancelledError, TimeoutError):
                self._on_verdicts(future.result(max(end - time.monotonic(), 0)))
        self._queued.clear()

    def _start_batch(self) -> None:
        self._batch: list[Operation] = []
        self._bytes = ENVELOPE_BYTES - 1  # the first operation has no comma

    def _wait_for_oldest(self) -> None:
        verdicts = self._queued.popleft().result()
        self._on_verdicts(verdicts)
        if verdicts.error:
            raise verdicts.error
