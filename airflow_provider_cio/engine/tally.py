"""Counting what becomes of the rows of one query."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.rejection import Rejection
from airflow_provider_cio.engine.summary import Counts, Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_cio.engine.verdicts import Verdicts

log = logging.getLogger(__name__)

#: A log that tells that a run is alive, and does not grow with it.
_SECONDS_BETWEEN_LINES = 30


class Tally:
    """Keeps a query's counts in the summary true, and passes its rejections on.

    Args:
        query: The query's name.
        summary: Gets the query's counts.
        on_rejection: Told of every rejection.
    """

    def __init__(self, query: str, summary: Summary, on_rejection: Callable[[Rejection], None]) -> None:
        self._query = query
        self._counts = summary.queries.setdefault(query, Counts())
        self._on_rejection = on_rejection
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
        self._on_rejection(rejection)

    def settle(self, verdicts: Verdicts) -> None:
        """Count operations whose fate is known."""
        self._counts.imported += verdicts.accepted
        for operation, error in verdicts.rejected:
            self.reject(
                Rejection(
                    self._query,
                    operation.row,
                    operation.identifier,
                    error.field,
                    error.reason,
                    error.message,
                )
            )
