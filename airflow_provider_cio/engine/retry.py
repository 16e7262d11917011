"""Read failed rows again in later runs, until they are accepted or the query no longer returns them.

A run remembers each failed row by its key, together with the last sync time of the query that returned it.
The next run reads the query twice in its snapshot: with the earliest of these last sync times, for the failed
rows only, and with its own last sync time, for the rows that changed.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine.mapping.row_keys import Key, RowKeys, is_usable
from airflow_provider_cio.engine.sources.protocol import Match
from airflow_provider_cio.engine.value_text import value_text
from airflow_provider_cio.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_cio.engine.mapping.query import Query
    from airflow_provider_cio.engine.outcome.rejection import Rejection, Report
    from airflow_provider_cio.engine.sources import Column, Row, Rows, Snapshot

#: The most rows that a sync remembers. More failed rows have a common reason, and that many identifiers make
#: the query slow.
MAX_FAILED_ROWS = 10_000
#: The longest field or reason that is remembered. Customer.io's own are shorter.
_MAX_TEXT = 200
_EMAIL = "email"


class FailedRow(msgspec.Struct, frozen=True):
    """A row that Customer.io does not have, because it was rejected.

    Args:
        query: The kind of its query, such as ``people``.
        key: The texts of its identifiers.
        last_sync_time: The earliest last sync time of a query that returned the row, in Unix seconds.
        failing_since: When it was rejected for the first time.
        field: The path of the value that was rejected last.
        reason: Why it was rejected last.
        tries: How many times it was rejected.
        email: Its email address, if another row of the query has the same one. Both rows are read again,
            because neither of them is wrong by itself.
    """

    query: str
    key: Key
    last_sync_time: int
    failing_since: dt.datetime
    field: str
    reason: str
    tries: int
    email: str = ""


class FailedRows:
    """The failed rows of one run: those that earlier runs remembered, and those that this run rejects.

    Args:
        remembered: The rows that earlier runs remembered.
        last_sync_time: The last sync time of this run's queries, in Unix seconds.
        retry: Whether later runs try the rows of this run again. Otherwise they hold the last sync time.

    Attributes:
        queries: The SELECT for each kind of query with remembered rows, rendered with `earliest`.
        newly_failed: The number of rows that failed, and that no earlier run remembered.
        failed_again: The number of the other rows that failed, for each kind of query.
    """

    def __init__(
        self, remembered: Iterable[FailedRow] = (), *, last_sync_time: int = 0, retry: bool = True
    ) -> None:
        self.queries: dict[str, str] = {}
        self.newly_failed = 0
        self.failed_again: Counter[str] = Counter()
        self._remembered = {(row.query, row.key): row for row in remembered}
        self._last_sync_time = last_sync_time
        self._retry = retry
        self._failed: dict[tuple[str, Key], FailedRow] = {}
        self._has_rejections = False
        self._now = dt.datetime.now(dt.UTC)

    @property
    def rows(self) -> list[FailedRow]:
        """The rows to remember for the next run, if they do not hold the last sync time."""
        return list(self._failed.values())

    @property
    def hold_last_sync_time(self) -> bool:
        """Whether the last sync time must stay, so that the next run reads the rejected rows again."""
        return self._has_rejections if not self._retry else len(self._failed) > MAX_FAILED_ROWS

    @property
    def earliest(self) -> dict[str, int]:
        """For each kind of query with remembered rows, the last sync time from which to read them again."""
        times: dict[str, int] = {}
        for row in self._remembered.values():
            times[row.query] = min(times.get(row.query, row.last_sync_time), row.last_sync_time)
        return times

    def of(self, query: str) -> list[FailedRow]:
        """Return the rows of a kind of query that earlier runs remembered."""
        return [row for row in self._remembered.values() if row.query == query]

    def record(self, rejection: Rejection) -> Rejection:
        """Record a rejection of this run, and return it with the history of its row."""
        self._has_rejections = True
        key = (rejection.query, rejection.key)
        known = self._remembered.get(key)
        if known:
            self.failed_again[rejection.query] += 1
        else:
            self.newly_failed += 1
        failed = FailedRow(
            *key,
            last_sync_time=min(known.last_sync_time, self._last_sync_time) if known else self._last_sync_time,
            failing_since=known.failing_since if known else self._now,
            field=rejection.field[:_MAX_TEXT],
            reason=rejection.reason[:_MAX_TEXT],
            tries=known.tries + 1 if known else 1,
            email=value_text(rejection.values.get(_EMAIL)) if rejection.reason == "duplicate" else "",
        )
        # One row more than the limit is enough to know that there are too many.
        if is_usable(rejection.key) and len(self._failed) <= MAX_FAILED_ROWS:
            self._failed.setdefault(key, failed)
        return replace(rejection, failing_since=failed.failing_since, tries=failed.tries)


@dataclass(frozen=True)
class RecordingReport:
    """A report that records each rejection before it adds it to another report.

    Args:
        report: The other report.
        failed_rows: Records the rejections.
    """

    report: Report
    failed_rows: FailedRows

    def expect(self, columns: list[str]) -> None:
        """Pass on the names of the columns."""
        self.report.expect(columns)

    def add(self, rejection: Rejection) -> None:
        """Record a rejection, and add it with the history of its row."""
        self.report.add(self.failed_rows.record(rejection))


@contextmanager
def read_rows(snapshot: Snapshot, query: Query, failed_rows: FailedRows | None) -> Iterator[Rows]:
    """Open a query. Its rows begin with those that failed in earlier runs and are still returned.

    Raises:
        QueryError: The query is refused, or its columns depend on the last sync time.
        SourceUnavailableError: The database stopped answering.
    """
    with snapshot.read(query.sql) as rows:
        failed = failed_rows.of(query.name) if failed_rows else []
        if not failed or not failed_rows:
            yield rows
            return
        with snapshot.read(failed_rows.queries[query.name], matching=_matches(query, failed)) as again:
            if list(again.columns) != list(rows.columns):
                raise QueryError(
                    f"The {query.name} query has other columns with last_sync_time"
                    f" {failed_rows.earliest[query.name]}, with which failed rows are read again. Select the"
                    " same columns for every last_sync_time."
                )
            yield _RowsWithRetries(query, again, rows, failed)


def _matches(query: Query, failed: Sequence[FailedRow]) -> list[Match]:
    """Return what finds the failed rows in a database, and perhaps a few others."""
    texts = {part for row in failed for part in row.key[:1]}
    matches = [Match(name, texts) for name in query.key_columns[0]]
    if emails := {row.email for row in failed if row.email}:
        matches.append(Match(_EMAIL, emails, ignore_case=True))
    return matches


class _RowsWithRetries:
    """The failed rows of a query, followed by its other rows.

    A row that is in both results is read once. The failed rows come first, because newer rows with the same
    identifier must be applied after them.

    Args:
        query: The query.
        again: Rows that contain the failed rows.
        rows: The rows of the query.
        failed: The rows that earlier runs remembered.

    Attributes:
        columns: The columns of the query.
    """

    def __init__(self, query: Query, again: Rows, rows: Rows, failed: Sequence[FailedRow]) -> None:
        self.columns: Sequence[Column] = rows.columns
        self._again = again
        self._rows = rows
        self._keys = RowKeys(query.key_columns, rows.columns)
        self._failed = {row.key for row in failed}
        self._emails = {row.email.lower() for row in failed if row.email}
        names = [column.name for column in rows.columns]
        self._email_index = names.index(_EMAIL) if self._emails and _EMAIL in names else None

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield chunks of at least one row."""
        last_read: dict[Key, bytes] = {}
        for chunk in self._again:
            if chosen := [row for row in chunk if self._is_failed(row)]:
                last_read.update((self._keys.of(row), _digest(row)) for row in chosen)
                yield chosen
        for chunk in self._rows:
            keys = map(self._keys.of, chunk)
            others = [
                row
                for row, key in zip(chunk, keys, strict=True)
                if key not in last_read or last_read[key] != _digest(row)
            ]
            if others:
                yield others

    def _is_failed(self, row: Row) -> bool:
        if not self._failed.isdisjoint(self._keys.candidates(row)):
            return True
        return self._email_index is not None and value_text(row[self._email_index]).lower() in self._emails


def _digest(row: Row) -> bytes:
    """Return a short text that is the same for equal rows only. Rows can be long, so they are not kept."""
    return blake2b(msgspec.json.encode(row), digest_size=16).digest()
