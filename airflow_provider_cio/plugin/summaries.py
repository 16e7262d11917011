"""The summary of a run, as its XCom has it.

Some roles may edit XComs, and any task may push a value under the same key. So a value counts only if it has
the types and the bounds of a summary. Anything else is ignored.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

from airflow_provider_cio.engine import Status  # noqa: TC001 - msgspec reads annotations

#: A summary has about 1 kB; long warnings may add some. Longer values are not read from the database.
LONGEST_SUMMARY = 64_000
#: The XCom that the operator writes.
SUMMARY_KEY = "summary"

#: JavaScript's largest exact integer: no run has as many rows.
_Count = Annotated[int, Meta(ge=0, le=2**53)]
#: The end of the year 9999, where Python's calendar ends.
_Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]
_Text = Annotated[str, Meta(max_length=2_000)]
_Duration = Annotated[float, Meta(ge=0, le=1e9)]
_Time = Annotated[dt.datetime, Meta(tz=True)]


class QueryCounts(msgspec.Struct, frozen=True, gc=False):
    """Rows of one query."""

    read: _Count = 0
    imported: _Count = 0
    failed: _Count = 0


class RunSummary(msgspec.Struct, frozen=True, gc=False):
    """What a run did; the fields are those of `Summary.as_dict`."""

    status: Status
    dry_run: bool = False
    queries: Annotated[dict[_Text, QueryCounts], Meta(max_length=20)] = msgspec.field(default_factory=dict)
    added_to_segment: _Count | None = None
    requests: _Count = 0
    bytes: _Count = 0
    warnings: Annotated[list[_Text], Meta(max_length=100)] = msgspec.field(default_factory=list)
    started_at: _Time | None = None
    finished_at: _Time | None = None
    duration: _Duration = 0.0
    last_sync_time: _Seconds = 0
    next_last_sync_time: _Seconds = 0
    report: _Text | None = None
    reason: _Text | None = None
    rows_to_retry: _Count = 0
    failing_since: _Time | None = None
    most_tries: _Count = 0

    @property
    def rows_read(self) -> int:
        """Rows of all queries."""
        return sum(counts.read for counts in self.queries.values())

    @property
    def rows_imported(self) -> int:
        """Accepted rows of all queries."""
        return sum(counts.imported for counts in self.queries.values())

    @property
    def rows_failed(self) -> int:
        """Rejected rows of all queries."""
        return sum(counts.failed for counts in self.queries.values())

    @property
    def rows_per_second(self) -> float | None:
        """Rows read per second of the run; None for a run without rows."""
        return self.rows_read / max(self.duration, 0.001) if self.rows_read else None


class Progress(msgspec.Struct, frozen=True):
    """How far a running sync has come; `operators.progress` writes it."""

    read: _Count = 0
    imported: _Count = 0
    failed: _Count = 0
    seconds: _Duration = 0.0
    rows_per_second: _Duration = 0.0
    query: _Text = ""


_read_summary = msgspec.json.Decoder(RunSummary).decode
_read_progress = msgspec.json.Decoder(Progress).decode
_read_text = msgspec.json.Decoder(str).decode


def parse_summary(text: str | None) -> RunSummary | None:
    """Read a summary from the JSON of an XCom; None if the XCom is not a summary.

    Args:
        text: The JSON as the database has it. Airflow's REST API stores JSON inside a JSON text.
    """
    if text is None:
        return None
    try:
        return _read_summary(_read_text(text) if text.startswith('"') else text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def parse_progress(text: str | None) -> Progress | None:
    """Read a progress from the JSON of the task state store; None if it is not a progress."""
    if text is None:
        return None
    try:
        return _read_progress(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
