"""What the engine needs of a workspace: a `TrackClient`, or a `DryRun`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.track.rejected_operation import RejectedOperation


class Workspace(Protocol):
    """Receives operations.

    Attributes:
        max_concurrent_requests: The number of lanes.
        requests: The number of requests so far, including repeated ones.
        bytes_sent: The bytes of their bodies.
    """

    max_concurrent_requests: int
    requests: int
    bytes_sent: int

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Send a batch and return the operations that Customer.io rejected."""

    def stop(self) -> None:
        """Make all waiting and later requests raise `StoppedError`."""


class WorkspaceWithSegments(Workspace, Protocol):
    """Receives operations, and adds people to segments."""

    def add_to_segment(self, segment: int, id_type: Identifier, people: Sequence[str]) -> None:
        """Add people to a manual segment."""
