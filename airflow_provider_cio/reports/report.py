"""The report of a run: a CSV of its rejections, written during the run to any store that Airflow supports.

A report contains people's data, so only users who may read the DAG can download it. If the store fails or
does not respond, the run goes on without a report: its result stays the same, and its delay is bounded.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import logging
import math
import time
from typing import TYPE_CHECKING, BinaryIO

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowConfigException

from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.reports.cells import cell
from airflow_provider_cio.reports.rejection_log import RejectionLog
from airflow_provider_cio.settings import REPORT_RETENTION_DAYS
from airflow_provider_cio.storage import REPORTS_URL, check_url, open_folder

if TYPE_CHECKING:
    from concurrent.futures import Future

    from airflow_provider_cio.engine import Rejection
    from airflow_provider_cio.storage import Folder

log = logging.getLogger(__name__)

#: The first columns of every report. The columns of the queries follow.
_HEADER = ("query", "row", "identifier", "field", "reason", "message")
#: The columns that follow if the sync retries failed rows.
_HISTORY = ("failing_since", "tries")
#: The format of the name of a report: the time when the run started, in UTC.
_NAME_FORMAT = "%Y-%m-%dT%H%M%S.%fZ.csv"
#: The number of characters that are written at once. It keeps the number of writes low. Memory holds at most
#: two chunks: one is filled while the other is written.
_CHUNK_SIZE = 256 * 1024
#: The seconds that a run waits for one step of the store. A part of an upload to an object store takes less.
_STEP_SECONDS = 30
#: The seconds that a run waits for its report when Airflow ends the run. Airflow kills the task 5 seconds
#: after its signal.
_QUICK_CLOSE_SECONDS = 3
#: The bounds of removing old reports: the most seconds and the most reports. The next run removes the rest.
_CLEAN_UP_SECONDS = 10
_MAX_REMOVED = 1000


def report_name(started_at: dt.datetime) -> str:
    """Return the name of the report of a run that started at some time."""
    return started_at.strftime(_NAME_FORMAT)


def started_at(name: str) -> dt.datetime | None:
    """Return the time when the run of a report started, or None if the name is not that of a report."""
    try:
        time_of_run = dt.datetime.strptime(name, _NAME_FORMAT).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return time_of_run if report_name(time_of_run) == name else None  # strptime accepts other spellings too


class Report:
    """Writes the rejections of one run to a CSV, and the first of them to the log.

    A run without rejections has no CSV.

    Args:
        workspace: The name of the workspace.
        sync_name: The name of the sync.
        started_at: The time when the run started, which becomes the name of the CSV.
        history: Whether the CSV has since when each row fails, and how many times it was tried.

    Raises:
        ConfigurationError: A setting of reports is not valid.
    """

    def __init__(
        self, workspace: str, sync_name: str, started_at: dt.datetime, *, history: bool = False
    ) -> None:
        url = check_url(REPORTS_URL)
        self._retention = _read_retention()
        self._name = report_name(started_at)
        self._history = history
        self._log = RejectionLog()
        self._columns: list[str] = []
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_ALL)
        self._writes: Future[None] | None = None
        self._failed = False
        self._worker = Worker("customerio-report")
        self._folder: Folder | None = None
        self._file: BinaryIO | None = None
        try:
            opened = self._worker.submit(open_folder, REPORTS_URL, url, workspace, sync_name)
            self._folder = opened.result(_STEP_SECONDS)
        except ConfigurationError:
            self._worker.close()
            raise
        except Exception as error:  # noqa: BLE001 - each kind of store has exceptions of its own
            self._fail(error)

    @property
    def location(self) -> str | None:
        """The URL of the CSV, or None if there is no CSV."""
        if self._writes is None or self._failed or not self._folder:
            return None
        return self._folder.location(self._name)

    def expect(self, columns: list[str]) -> None:
        """Set the names of the columns of all queries, which become columns of the CSV."""
        self._columns = columns

    def add(self, rejection: Rejection) -> None:
        """Write a rejection. If the store fails, the log has an error and the run goes on."""
        self._log.add(rejection)
        if self._failed:
            return
        if not self._text.tell() and self._writes is None:
            self._writer.writerow(map(cell, [*_HEADER, *(_HISTORY if self._history else ()), *self._columns]))
        values = (
            rejection.query,
            rejection.row_index,
            rejection.identifier,
            rejection.field,
            rejection.reason,
            rejection.message,
            *((_minute(rejection.failing_since), rejection.tries) if self._history else ()),
            *(rejection.values.get(column) for column in self._columns),
        )
        self._writer.writerow(map(cell, values))
        if self._text.tell() >= _CHUNK_SIZE:
            self._flush(_STEP_SECONDS)

    def close(self, *, quickly: bool = False) -> None:
        """Complete the CSV in its store, and remove old reports of the sync.

        Args:
            quickly: Whether Airflow ends the run, so that only a few seconds are left.
        """
        end = time.monotonic() + (_QUICK_CLOSE_SECONDS if quickly else 2 * _STEP_SECONDS)
        if not self._failed and self._text.tell():
            self._flush(end - time.monotonic())
        if not self._failed and self._writes:
            self._wait_for(self._worker.submit(self._close_file), end - time.monotonic())
        if not self._failed:
            self._remove_old(min(end - time.monotonic(), _CLEAN_UP_SECONDS))
        self._worker.close()

    def _flush(self, seconds: float) -> None:
        """Write the buffered lines to the store, after the previous write has ended."""
        end = time.monotonic() + seconds
        if self._writes:
            self._wait_for(self._writes, seconds)
        if self._failed:
            return
        chunk = self._text.getvalue().encode(errors="backslashreplace")
        self._text.seek(0)
        self._text.truncate()
        self._writes = self._worker.submit(self._write, chunk)
        if self._file is None:  # the first write shows whether the store is writable
            self._wait_for(self._writes, end - time.monotonic())

    def _write(self, chunk: bytes) -> None:
        """Write a chunk to the store. Like every use of the file, this runs in the worker thread."""
        if self._file is None:
            assert self._folder  # noqa: S101 - a report without a folder has failed
            self._file = self._folder.create(self._name)
        self._file.write(chunk)

    def _close_file(self) -> None:
        if self._file:
            self._file.close()

    def _wait_for(self, step: Future[None], seconds: float) -> None:
        try:
            step.result(max(seconds, 0))
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failed = True
        self._text.close()
        log.error(
            "The report cannot be written (%s). Only the first rejections are kept, in this log. Check the"
            " store in [customerio] reports_url.",
            "the store does not respond" if isinstance(error, TimeoutError) else type(error).__name__,
        )

    def _remove_old(self, seconds: float) -> None:
        """Remove this sync's reports that are older than ``[customerio] report_retention_days``."""
        if self._folder is None:
            return
        oldest = dt.datetime.now(dt.UTC) - self._retention
        deadline = time.monotonic() + seconds
        try:
            self._worker.submit(_remove_reports, self._folder, oldest, deadline).result(max(seconds, 0))
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("Old reports of the sync cannot be removed (%s).", type(error).__name__)


def _minute(time: dt.datetime | None) -> str:
    return time.isoformat(" ", "minutes") if time else ""


def _remove_reports(folder: Folder, oldest: dt.datetime, deadline: float) -> None:
    """Remove the reports of runs that started before a time, until a deadline of the monotonic clock."""
    removed = 0
    for name in list(folder.names()):
        if time.monotonic() > deadline or removed >= _MAX_REMOVED:
            return
        if (started := started_at(name)) and started < oldest:
            folder.remove(name)
            removed += 1


def _read_retention() -> dt.timedelta:
    option = "[customerio] report_retention_days"
    try:
        days = float(conf.get("customerio", "report_retention_days"))
    except (ValueError, TypeError, AirflowConfigException):
        days = math.nan
    if not REPORT_RETENTION_DAYS.minimum < days <= REPORT_RETENTION_DAYS.maximum:
        raise ConfigurationError(
            f"{option} is not a valid number of days. Set it to a number above"
            f" {REPORT_RETENTION_DAYS.minimum:g} and up to {REPORT_RETENTION_DAYS.maximum:g}, such as"
            f" {REPORT_RETENTION_DAYS.default:g}."
        )
    return dt.timedelta(days=days)
