"""The summary of a run: its status, its counts, and its last sync times."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_cio.engine.retry import FailedRows


class Status(StrEnum):
    """How a run ended."""

    COMPLETED = "Completed"
    SOME_ROWS_FAILED = "Some rows failed"
    FAILED = "Failed"
    SKIPPED = "Skipped"


@dataclass
class Counts:
    """The number of rows of one query. At the end of a run, each row that was read is imported or failed."""

    read: int = 0
    imported: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"{self.read:,} rows read, {self.imported:,} imported, {self.failed:,} failed"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class Summary:
    """The numbers of a run. They are updated during the run, so a run that fails has a summary too.

    The status is Failed until the run has tried all rows. A run that Completed moves the last sync time. With
    ``failed_rows: retry``, a run with failed rows moves it too, if it remembers them.

    Args:
        last_sync_time: The last sync time that the queries use, in Unix seconds.
        stored_last_sync_time: The last sync time that is stored. It differs in a full refresh, and is
            otherwise the same.
        dry_run: Whether nothing is sent. Rows that would have been sent count as imported.

    Attributes:
        next_last_sync_time: The last sync time for the next run.
        queries: The counts of each query, by the kind of the query.
        not_found: The number of imported rows whose person does not exist, so that they changed nothing; None
            if the sync creates people, or if the App API was not asked.
        added_to_segment: The number of people that were added to the segment; None without a segment.
        requests: The number of requests to Customer.io, including repeated ones.
        bytes: The bytes of their bodies.
        rows_newly_failed: The number of failed rows that no earlier run remembered.
        rows_to_retry: The number of failed rows that the next run tries again.
        failing_since: When the first of them failed for the first time.
        most_tries: The largest number of tries of one of them.
    """

    last_sync_time: int
    stored_last_sync_time: int | None = None
    dry_run: bool = False
    next_last_sync_time: int = field(init=False)
    status: Status = Status.FAILED
    queries: dict[str, Counts] = field(default_factory=dict)
    not_found: int | None = None
    added_to_segment: int | None = None
    requests: int = 0
    bytes: int = 0
    rows_newly_failed: int = 0
    rows_to_retry: int = 0
    failing_since: dt.datetime | None = None
    most_tries: int = 0
    warnings: list[str] = field(default_factory=list)
    started_at: dt.datetime = field(default_factory=_now)
    finished_at: dt.datetime | None = None

    def __post_init__(self) -> None:
        if self.stored_last_sync_time is None:
            self.stored_last_sync_time = self.last_sync_time
        self.next_last_sync_time = self.stored_last_sync_time

    @property
    def duration(self) -> float:
        """The seconds from the start to the end, or until now."""
        return ((self.finished_at or _now()) - self.started_at).total_seconds()

    @property
    def rows_read(self) -> int:
        """The number of rows that were read, of all queries."""
        return sum(counts.read for counts in self.queries.values())

    @property
    def rows_imported(self) -> int:
        """The number of rows that were imported, of all queries."""
        return sum(counts.imported for counts in self.queries.values())

    @property
    def rows_failed(self) -> int:
        """The number of rows that failed, of all queries."""
        return sum(counts.failed for counts in self.queries.values())

    def finish(self, next_last_sync_time: int | None, failed_rows: FailedRows | None = None) -> None:
        """Set the status of a run that tried all rows, and move the last sync time unless rows hold it.

        Args:
            next_last_sync_time: The last sync time for the next run, or None to leave the stored one.
            failed_rows: The failed rows of the run. Without it, each failed row holds the last sync time.
        """
        self.status = Status.SOME_ROWS_FAILED if self.rows_failed else Status.COMPLETED
        self.rows_newly_failed = failed_rows.newly_failed if failed_rows else self.rows_failed
        if failed_rows.hold_last_sync_time if failed_rows else self.rows_failed:
            return
        if failed_rows and failed_rows.rows:
            self.rows_to_retry = len(failed_rows.rows)
            self.failing_since = min(row.failing_since for row in failed_rows.rows)
            self.most_tries = max(row.tries for row in failed_rows.rows)
        if next_last_sync_time is not None and not self.dry_run:
            self.next_last_sync_time = next_last_sync_time

    def lines(self) -> list[str]:
        """Return the summary as text: a table of the queries, and a last line with the status."""
        imported, width = ("would be imported", 19) if self.dry_run else ("imported", 12)
        lines = [f"{'query':<15}{'read':>12}{imported:>{width}}{'failed':>12}"] if self.queries else []
        lines += [
            f"{name:<15}{counts.read:>12,}{counts.imported:>{width},}{counts.failed:>12,}"
            for name, counts in self.queries.items()
        ]
        if self.not_found is not None:
            lines.append(
                f"{self.not_found:,} of the imported rows changed nothing: their person does not exist"
            )
        if self.added_to_segment is not None:
            lines.append(f"{self.added_to_segment:,} people added to the segment")
        if self.rows_to_retry and self.failing_since:
            lines.append(
                f"{_rows(self.rows_to_retry)} to retry, {self.rows_newly_failed:,} of them new; failing since"
                f" {self.failing_since:%Y-%m-%d %H:%M} UTC, up to {self.most_tries:,}"
                f" {'try' if self.most_tries == 1 else 'tries'}"
            )
        speed = self.rows_read / max(self.duration, 0.001)
        requests = f"{self.requests:,} request{'' if self.requests == 1 else 's'}"
        dry_run = "Dry run, nothing was sent: " if self.dry_run else ""
        lines.append(
            f"{dry_run}{self.status} in {self.duration:.1f} s: {requests},"
            f" {self.bytes:,} bytes, {speed:,.0f} rows/s;"
            f" last sync time {self.last_sync_time}, next {self.next_last_sync_time}"
        )
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON types, with times in ISO 8601."""
        return {
            "status": self.status.value,
            "dry_run": self.dry_run,
            "queries": {
                name: {"read": counts.read, "imported": counts.imported, "failed": counts.failed}
                for name, counts in self.queries.items()
            },
            "rows_read": self.rows_read,
            "rows_imported": self.rows_imported,
            "rows_failed": self.rows_failed,
            "not_found": self.not_found,
            "rows_newly_failed": self.rows_newly_failed,
            "rows_to_retry": self.rows_to_retry,
            "failing_since": self.failing_since.isoformat() if self.failing_since else None,
            "most_tries": self.most_tries,
            "added_to_segment": self.added_to_segment,
            "requests": self.requests,
            "bytes": self.bytes,
            "warnings": self.warnings,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "duration": round(self.duration, 3),
            "last_sync_time": self.last_sync_time,
            "next_last_sync_time": self.next_last_sync_time,
        }
