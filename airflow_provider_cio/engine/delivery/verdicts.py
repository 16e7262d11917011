"""What became of a batch, operation by operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.errors import SyncError
    from airflow_provider_cio.track.rejected_operation import RejectedOperation


@dataclass
class Verdicts:
    """The fate of operations that were sent.

    Args:
        accepted: Those that Customer.io took.
        rejected: The others, each with the first thing that is wrong with it.
        error: Why there is no verdict on the rest; None when there is one on each.
    """

    accepted: list[Operation] = field(default_factory=list)
    rejected: list[tuple[Operation, RejectedOperation]] = field(default_factory=list)
    error: SyncError | None = None
