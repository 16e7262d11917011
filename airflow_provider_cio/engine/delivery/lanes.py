"""The lanes of a query: operations go in, and verdicts come out."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Self

from airflow_provider_cio.engine.delivery.batches import deliver
from airflow_provider_cio.engine.delivery.lane import Lane
from airflow_provider_cio.engine.delivery.refusal_limit import FIRST_REFUSALS, LATER_REFUSALS, RefusalLimit
from airflow_provider_cio.errors import SyncError
from airflow_provider_cio.track.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from airflow_provider_cio.engine.delivery.verdicts import Verdicts
    from airflow_provider_cio.engine.delivery.workspace import Workspace
    from airflow_provider_cio.engine.mapping.operations import Operation

#: After an error, the time for responses to requests in flight, so that their rows are in the report. A
#: client that was stopped ends its requests at once, and Airflow gives a task that it stops 5 seconds.
_LAST_VERDICTS_SECONDS = 2.0


class Lanes:
    """Distributes operations over the lanes of a workspace by their order key.

    Operations with the same key are in the same lane, so they are applied in row order, however many
    requests are in flight.

    Leaving the ``with`` block waits for all verdicts. Leaving it by an error sends nothing more and does not
    wait for a workspace that does not respond.

    Args:
        workspace: Receives the batches.
        on_verdicts: Receives the verdicts of each batch. Called in the thread that uses the lanes.
        expected_refusals: The number of operations that were refused before. They are sent first, and must
            not end the run.
    """

    def __init__(
        self,
        workspace: Workspace,
        on_verdicts: Callable[[Verdicts], None],
        *,
        expected_refusals: int = 0,
    ) -> None:
        self._workspace = workspace
        refusal_limit = RefusalLimit(FIRST_REFUSALS + expected_refusals, LATER_REFUSALS + expected_refusals)
        deliver_batch = partial(deliver, workspace, refusal_limit=refusal_limit)
        self._lanes = [Lane(deliver_batch, on_verdicts) for _ in range(workspace.max_concurrent_requests)]

    def send(self, operations: Sequence[Operation]) -> None:
        """Add operations to their lanes.

        Raises:
            SyncError: An earlier batch got no verdict.
        """
        lane_count = len(self._lanes)
        parts: list[list[Operation]] = [[] for _ in self._lanes]
        for operation in operations:
            parts[hash(operation.order_key) % lane_count].append(operation)
        for lane, part in zip(self._lanes, parts, strict=True):
            lane.add(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
        except BaseException as flush_error:
            self._abort(flush_error)
            raise
        if error is not None:
            self._abort(error)
        self._close()

    def _flush(self) -> None:
        """Send the remaining operations, and wait for all verdicts."""
        if sum(lane.unsent_bytes for lane in self._lanes) <= BATCH_BYTES:
            self._merge_unsent()
        for lane in self._lanes:
            lane.send()
        for lane in self._lanes:
            lane.wait()

    def _merge_unsent(self) -> None:
        """Move the remaining operations into one lane: few rows then need one request and not one a lane.

        A lane waits for its verdicts first, so that its operations do not overtake a request in flight.
        """
        first, *others = self._lanes
        for lane in others:
            lane.wait()
            first.add(lane.take_unsent())

    def _abort(self, error: BaseException) -> None:
        """Stop all requests, and pass on the verdicts that have arrived."""
        self._workspace.stop()
        self._close()
        if isinstance(error, SyncError):
            end = time.monotonic() + _LAST_VERDICTS_SECONDS
            for lane in self._lanes:
                lane.collect_verdicts(end - time.monotonic())

    def _close(self) -> None:
        for lane in self._lanes:
            lane.close()
