"""Rejections in the task log: the first few in full, all of them counted by the summary."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_cio.engine import Rejection

log = logging.getLogger(__name__)

#: More would bury what else a log says.
_LIMIT = 20


class RejectionLog:
    """Writes rejected rows to a log: where, who, what is wrong, and no other value of the row."""

    def __init__(self) -> None:
        self._written = 0

    def add(self, rejection: Rejection) -> None:
        """Write a rejection, as long as there are few."""
        self._written += 1
        if self._written <= _LIMIT:
            log.error(
                "%s row %d (%s): %s %s: %s",
                rejection.query,
                rejection.row,
                rejection.identifier or "no identifier",
                rejection.field,
                rejection.reason,
                rejection.message,
            )
        if self._written == _LIMIT:
            log.error("Further rejected rows are in the report only")
