"""Delivery: from operations to verdicts, through the lanes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from airflow_provider_cio.engine.lanes import Lane
from airflow_provider_cio.engine.verdicts import Verdicts, Workspace, deliver
from airflow_provider_cio.track.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from airflow_provider_cio.engine.operations import Operation


class Delivery:
    """Sends operations to a workspace, those with the same key in the order in which they come.

    Leaving the ``with`` block waits for every verdict; leaving it by an error sends nothing more.

    Args:
        workspace: Takes the batches.
        on_verdicts: Told of each batch, in the thread that uses the delivery.
    """

    def __init__(self, workspace: Workspace, on_verdicts: Callable[[Verdicts], None]) -> None:
        self._workspace = workspace
        self._lanes = [
            Lane(partial(deliver, workspace), on_verdicts) for _ in range(workspace.max_concurrent_requests)
        ]

    def send(self, operations: Sequence[Operation]) -> None:
        """Hand over operations.

        Raises:
            SyncError: An earlier batch got no verdict.
        """
        count = len(self._lanes)
        parts: list[list[Operation]] = [[] for _ in self._lanes]
        for operation in operations:
            parts[hash(operation.key) % count].append(operation)
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
        except BaseException:
            self._stop()
            raise
        self._close() if error is None else self._stop()

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

    def _stop(self) -> None:
        """Let no lane wait for another try: the run is over."""
        self._workspace.stop()
        self._close()

    def _close(self) -> None:
        for lane in self._lanes:
            lane.close()
