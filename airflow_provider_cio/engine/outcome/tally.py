"""Counting what becomes of the rows of one query."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.outcome.rejection import Rejection, Report
from airflow_provider_cio.engine.outcome.summary import Counts, Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_cio.engine.delivery.verdicts import Verdicts
    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.track.rejected_operation import RejectedOperation

log = logging.getLogger(__name__)

#: A log that tells that a run is alive, and does not grow with it.
_SECONDS_BETWEEN_LINES = 30


class Tally:
    """Keeps a query's counts in the summary true, and passes its rejections on.

    Args:
        query: The query's name.
        summary: Gets the query's counts.
        report: Gets its rejections.
        on_accepted: Told of the operations that Customer.io accepted.
    """

    def __init__(
        self,
        query: str,
        summary: Summary,
        report: Report,
        on_accepted: Callable[[list[Operation]], None] | None = None,
    ) -> None:
        self._query = query
        self._counts = summary.queries.setdefault(query, Counts())
        self._report = report
        self._on_accepted = on_accepted
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

    def read(self, rows: int) -> None:
        """Count rows that came from the source, and now and then log how far the run has come."""
        self._counts.read += rows
        if time.monotonic() >= self._next_line:
            log.info("%s so far: %s", self._query, self._counts)
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

    def reject(self, rejection: Rejection) -> None:
        """Count a refused row."""
        self._counts.failed += 1
        self._report.add(rejection)

    def settle(self, verdicts: Verdicts) -> None:
        """Count operations whose fate is known."""
        self._counts.imported += len(verdicts.accepted)
        if self._on_accepted:
            self._on_accepted(verdicts.accepted)
        for operation, error in verdicts.rejected:
            self.reject(self._rejection(operation, error))

    def take_back(self, operation: Operation, error: RejectedOperation) -> None:
        """Count an operation as rejected after all that was accepted and not applied."""
        self._counts.imported -= 1
        self.reject(self._rejection(operation, error))

    def _rejection(self, operation: Operation, error: RejectedOperation) -> Rejection:
        return Rejection(
            self._query,
            operation.row,
            operation.identifier,
            error.field,
            error.reason,
            error.message,
            operation.values(),
        )
