"""Delivery: from operations to verdicts, through the lanes."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Self

from airflow_provider_cio.engine.delivery.batches import deliver
from airflow_provider_cio.engine.delivery.lanes import Lane
from airflow_provider_cio.engine.delivery.refusals import Refusals
from airflow_provider_cio.errors import SyncError
from airflow_provider_cio.track.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from airflow_provider_cio.engine.delivery.verdicts import Verdicts
    from airflow_provider_cio.engine.delivery.workspace import Workspace
    from airflow_provider_cio.engine.mapping.operations import Operation

#: After an error, how long verdicts are awaited on requests in flight, so that report and summary have them.
#: A stopped client gives up a request at once, and a killed task has 5 seconds.
_LAST_VERDICTS_SECONDS = 2.0


class Delivery:
    """Sends operations to a workspace, those with the same key in the order in which they come.

    Leaving the ``with`` block waits for every verdict; leaving it by an error sends nothing more and
    waits for no answer.

    Args:
        workspace: Takes the batches.
        on_verdicts: Told of each batch, in the thread that uses the delivery.
    """

    def __init__(self, workspace: Workspace, on_verdicts: Callable[[Verdicts], None]) -> None:
        self._workspace = workspace
        send = partial(deliver, workspace, refusals=Refusals())
        self._lanes = [Lane(send, on_verdicts) for _ in range(workspace.max_concurrent_requests)]

    def send(self, operations: Sequence[Operation]) -> None:
        """Hand over operations.

        Raises:
            SyncError: An earlier batch got no verdict.
        """
        count = len(self._lanes)
        parts: list[list[Operation]] = [[] for _ in self._lanes]
        for operation in operations:
            parts[hash(operation.order_key) % count].append(operation)
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
        except BaseException as late:
            self._break_off(late)
            raise
        if error is not None:
            self._break_off(error)
        self._close()

    def _flush(self) -> None:
        """Send what is left and wait for all verdicts."""
        if sum(lane.bytes_left for lane in self._lanes) <= BATCH_BYTES:
            self._gather()
        for lane in self._lanes:
            lane.send()
        for lane in self._lanes:
            lane.wait()

    def _gather(self) -> None:
        """Put into one lane what fits into one request, once nothing of it is behind a request in flight."""
        first, *others = self._lanes
        for lane in others:
            lane.wait()
            first.add(lane.take())

    def _break_off(self, error: BaseException) -> None:
        """Let no request wait for another try. Tell the verdicts that are there already."""
        self._workspace.stop()
        self._close()
        if isinstance(error, SyncError):
            end = time.monotonic() + _LAST_VERDICTS_SECONDS
            for lane in self._lanes:
                lane.settle(end - time.monotonic())

    def _close(self) -> None:
        for lane in self._lanes:
            lane.close()
