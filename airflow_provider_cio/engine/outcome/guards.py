"""Guards: limits that end a run before or while it sends, because its query is probably wrong.

Rows are counted in the snapshot that is read afterwards, before anything is sent. Without a guard that needs
it, nothing is counted, because Postgres runs the query another time for it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_cio.engine.outcome.summary import Counts
    from airflow_provider_cio.engine.retry import FailedRows

#: The verdicts after which `max_failed` is judged during a run. With fewer, a few bad rows would be a large
#: share.
_JUDGED_VERDICTS = 1_000

GUARD_NAMES = ("min_rows", "max_rows", "max_growth", "max_failed")
#: More rows than any workspace has. The bound keeps messages short.
MAX_GUARD_ROWS = 10**12
PERCENT_PATTERN = r"^([0-9]{1,6}(?:\.[0-9]{1,3})?) ?%$"
_match_percent = re.compile(PERCENT_PATTERN, re.ASCII).fullmatch


def parse_percent(text: str) -> Decimal | None:
    """Return the number of a percentage such as ``5%``, or None if the text is not a percentage."""
    match = _match_percent(text)
    return Decimal(match[1]) if match else None


def guard_problem(name: str, value: object) -> str | None:
    """Return what the value of a guard has to be, or None if it is valid.

    Args:
        name: The name of the guard, from `GUARD_NAMES`.
        value: Its value.
    """
    percent = isinstance(value, str) and parse_percent(value) is not None
    smallest = 0 if name == "max_failed" else 1
    count = type(value) is int and smallest <= value <= MAX_GUARD_ROWS
    if name == "max_growth":
        return None if percent else "use a percentage, such as 300%"
    if name == "max_failed":
        return None if percent or count else "use a number of rows, or a percentage such as 5%"
    return None if count else "use a number of rows, such as 1000"


@dataclass(frozen=True, kw_only=True)
class Guards:
    """The guards of a run. All of them are about the rows of the main query.

    Args:
        min_rows: The smallest number of rows. It applies only if the query reads everything.
        max_rows: The largest number of rows.
        max_growth: The largest growth since `last_row_count`, such as ``300%``. It applies only if the query
            reads everything.
        max_failed: The largest number of failed rows, or their largest share of all verdicts, such as ``5%``.
        reads_everything: Whether the query reads everything, and not only changes: then few rows are a fault.
        last_row_count: The number of rows of the last Completed run that read everything; None if there is
            none, and `max_growth` does not apply then.
    """

    min_rows: int | None = None
    max_rows: int | None = None
    max_growth: str | None = None
    max_failed: int | str | None = None
    reads_everything: bool = True
    last_row_count: int | None = None

    def check_rows(self, query: str, count: Callable[[], int]) -> None:
        """Check the number of rows, before anything is sent.

        Args:
            query: The kind of the query, for messages.
            count: Counts the rows of the query. Called only if a guard needs it.

        Raises:
            ConfigurationError: A guard tripped.
        """
        growth = parse_percent(self.max_growth) if self.max_growth and self.last_row_count else None
        if self.max_rows is None and not (self.reads_everything and (self.min_rows or growth is not None)):
            return
        rows = count()
        if self.max_rows is not None and rows > self.max_rows:
            raise _tripped(query, rows, f"more than max_rows: {self.max_rows:,}", "raise max_rows")
        if not self.reads_everything:
            return
        if self.min_rows is not None and rows < self.min_rows:
            raise _tripped(query, rows, f"fewer than min_rows: {self.min_rows:,}", "lower min_rows")
        last = self.last_row_count or 0
        if growth is not None and rows > last * (1 + growth / 100):
            raise _tripped(
                query,
                rows,
                f"{(rows - last) * 100 // last:,}% more than the {last:,} of the last Completed run that read"
                f" everything, and max_growth is {self.max_growth}",
                "raise max_growth",
            )


class FailedRowsGuard:
    """Ends a run in which too many rows fail.

    Args:
        guards: The guards of the run.
        query: The kind of the main query, for messages.
        counts: The counts of the main query, which change during the run.
        failed_rows: Counts the rows that failed in earlier runs too. They are not judged again.
    """

    def __init__(
        self, guards: Guards, query: str, counts: Counts, failed_rows: FailedRows | None = None
    ) -> None:
        self._failed_again: Counter[str] = failed_rows.failed_again if failed_rows else Counter()
        self._max_failed = guards.max_failed
        self._query = query
        self._counts = counts
        self._tripped = False

    def check(self, *, at_end: bool = False) -> None:
        """Check the number of failed rows. The guard trips once, so that later verdicts are still counted.

        Args:
            at_end: Whether all verdicts have arrived. Before that, the first verdicts are not judged.

        Raises:
            ConfigurationError: The guard tripped.
        """
        failed = self._counts.failed - self._failed_again[self._query]
        verdicts = self._counts.imported + failed
        if self._max_failed is None or self._tripped or not (at_end or verdicts >= _JUDGED_VERDICTS):
            return
        if isinstance(self._max_failed, int):
            too_many = failed > self._max_failed
        else:
            too_many = failed * 100 > verdicts * (parse_percent(self._max_failed) or 0)
        if too_many:
            self._tripped = True
            raise ConfigurationError(
                f"{failed:,} of {verdicts:,} rows of the {self._query} query failed, more than max_failed:"
                f" {self._max_failed}. {'' if at_end else 'The run stopped sending. '}"
                "Correct the rows in the report, or raise max_failed."
            )


def _tripped(query: str, rows: int, problem: str, remedy: str) -> ConfigurationError:
    count = f"{rows:,} row{'' if rows == 1 else 's'}"
    return ConfigurationError(
        f"The {query} query returns {count}, {problem}. Nothing was sent. Check the query and its tables, or"
        f" {remedy}."
    )
