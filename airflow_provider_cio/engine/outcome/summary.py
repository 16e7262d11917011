"""The summary of a run: its status, its counts, and its last sync times."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class Summary:
    """The numbers of a run. They are updated during the run, so a run that fails has a summary too.

    The status is Failed until the run has tried all rows. Only a run that Completed moves the last sync time.

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

    def finish(self, next_last_sync_time: int | None) -> None:
        """Set the status of a run that tried all rows, and move the last sync time if no row failed.

        Args:
            next_last_sync_time: The last sync time for the next run, or None to leave the stored one.
        """
        if self.rows_failed:
            self.status = Status.SOME_ROWS_FAILED
            return
        self.status = Status.COMPLETED
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
