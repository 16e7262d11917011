"""The verdicts on a batch: which of its operations Customer.io accepted, and which it rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.errors import SyncError
    from airflow_provider_cio.track.rejected_operation import RejectedOperation


@dataclass
class Verdicts:
    """The result of sending a batch.

    Args:
        accepted: The operations that Customer.io accepted.
        rejected: The operations that it rejected, each with the reason.
        error: The error because of which the remaining operations have no verdict, if there was one.
    """

    accepted: list[Operation] = field(default_factory=list)
    rejected: list[tuple[Operation, RejectedOperation]] = field(default_factory=list)
    error: SyncError | None = None
