"""Lanes keep operations on the same identifier in row order, whatever the concurrency.

Operations are sharded by identifier; a lane has one request in flight and fills the next batch meanwhile.
"""

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

#: A batch in flight and one behind it, so that the wire is never idle.
_UNDER_WAY = 2


class Lane:
    """Collects operations into batches and delivers these one after the other, in a thread of its own.

    Args:
        deliver: Sends a batch and says what became of each operation; called in the lane's thread.
        on_verdicts: Told of each batch, in the order sent, in the thread that adds the operations.
    """

    def __init__(
        self, deliver: Callable[[list[Operation]], Verdicts], on_verdicts: Callable[[Verdicts], None]
    ) -> None:
        self._deliver = deliver
        self._on_verdicts = on_verdicts
        self._worker = Worker("customerio-lane")
        self._under_way: deque[Future[Verdicts]] = deque()
        self._start_batch()

    @property
    def bytes_left(self) -> int:
        """The size of the operations that are not sent yet, were they a request."""
        return self._bytes

    def add(self, operations: Sequence[Operation]) -> None:
        """Add operations; whenever a batch is full it is sent.

        Waits while two batches are under way: rows are not read faster than they are delivered.
        """
        sizes = [len(operation.body) + 1 for operation in operations]  # each with a comma
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
        """Send what there is, behind what is under way."""
        while len(self._under_way) >= _UNDER_WAY:
            self._wait_for_oldest()
        if self._batch:
            self._under_way.append(self._worker.submit(self._deliver, self.take()))

    def take(self) -> list[Operation]:
        """Take out what has not been sent."""
        batch = self._batch
        self._start_batch()
        return batch

    def wait(self) -> None:
        """Wait for the verdicts on all that is under way."""
        while self._under_way:
            self._wait_for_oldest()

    def close(self) -> None:
        """Send nothing more; a request in flight ends by itself, and nothing waits for it."""
        self._worker.close()

    def settle(self, seconds: float) -> None:
        """Tell the verdicts on batches that were under way, if they come within so many seconds."""
        end = time.monotonic() + seconds
        for future in self._under_way:
            with suppress(CancelledError, TimeoutError):
                self._on_verdicts(future.result(max(end - time.monotonic(), 0)))
        self._under_way.clear()

    def _start_batch(self) -> None:
        self._batch: list[Operation] = []
        self._bytes = ENVELOPE_BYTES - 1  # the first operation has no comma

    def _wait_for_oldest(self) -> None:
        verdicts = self._under_way.popleft().result()
        self._on_verdicts(verdicts)
        if verdicts.error:
            raise verdicts.error
