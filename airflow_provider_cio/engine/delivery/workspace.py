"""Where operations go, as far as the engine knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation


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

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Send a batch and return the errors of those operations that were rejected."""

    def stop(self) -> None:
        """Make waiting and coming requests raise `StoppedError`."""
