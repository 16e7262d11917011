"""Counts what happens to the rows of one query."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.outcome.rejection import Rejection, Report
from airflow_provider_cio.engine.outcome.summary import Counts, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.delivery.verdicts import Verdicts
    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.track.rejected_operation import RejectedOperation

log = logging.getLogger(__name__)

#: Often enough to show that a run is alive, and rare enough that the log of a long run stays short.
_SECONDS_BETWEEN_LINES = 30


class Tally:
    """Counts the rows of a query in the summary, and passes its rejections to the report.

    Args:
        query: The kind of the query.
        summary: Receives the counts.
        report: Receives the rejections.
        on_accepted: Each is called with the operations that Customer.io accepted.
    """

    def __init__(
        self,
        query: str,
        summary: Summary,
        report: Report,
        on_accepted: Sequence[Callable[[list[Operation]], None]] = (),
    ) -> None:
        self._query = query
        self._counts = summary.queries.setdefault(query, Counts())
        self._report = report
        self._on_accepted = on_accepted
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

    def add_read(self, row_count: int) -> None:
        """Count rows that were read, and log the progress of the run now and then."""
        self._counts.read += row_count
        if time.monotonic() >= self._next_line:
            log.info("%s so far: %s", self._query, self._counts)
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

    def add_rejection(self, rejection: Rejection) -> None:
        """Count a refused row and report it."""
        self._counts.failed += 1
        self._report.add(rejection)

    def add_verdicts(self, verdicts: Verdicts) -> None:
        """Count the verdicts on a batch."""
        self._counts.imported += len(verdicts.accepted)
        for on_accepted in self._on_accepted:
            on_accepted(verdicts.accepted)
        for operation, rejected in verdicts.rejected:
            self.add_rejection(self._rejection(operation, rejected))

    def add_failed_change(self, operation: Operation, rejected: RejectedOperation) -> None:
        """Count an operation as rejected that Customer.io accepted and then did not apply."""
        self._counts.imported -= 1
        self.add_rejection(self._rejection(operation, rejected))

    def _rejection(self, operation: Operation, rejected: RejectedOperation) -> Rejection:
        return Rejection(
            self._query,
            operation.row_index,
            operation.identifier,
            rejected.field,
            rejected.reason,
            rejected.message,
            operation.values(),
            operation.key,
        )
