"""Trying a sync without touching the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.queries import Identifier
    from airflow_provider_cio.track.rejected_operation import RejectedOperation


class DryRun:
    """A workspace that takes every operation and keeps none: what our own checks refuse still shows."""

    max_concurrent_requests = 1
    requests = 0
    bytes_sent = 0

    def stop(self) -> None:
        """Nothing ever waits here."""

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:  # noqa: ARG002 - a Workspace has it
        """Accept all."""
        return []

    def add_to_segment(self, segment: int, id_type: Identifier, people: Sequence[str]) -> None:
        """Add nobody."""
