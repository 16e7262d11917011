"""A workspace for dry runs: nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.track.rejected_operation import RejectedOperation


class DryRun:
    """A workspace that accepts every operation and drops it. Our own checks still refuse rows."""

    max_concurrent_requests = 1
    requests = 0
    bytes_sent = 0

    def stop(self) -> None:
        """Do nothing: no request ever waits."""

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:  # noqa: ARG002 - part of the protocol
        """Accept all operations."""
        return []

    def add_to_segment(self, segment: int, id_type: Identifier, people: Sequence[str]) -> None:
        """Do nothing."""
