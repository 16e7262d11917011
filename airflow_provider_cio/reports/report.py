"""Reports: a CSV of a run's rejections, written while the run goes, wherever Airflow can store objects.

A report holds people's data: the link to it is for users who may read the DAG. A store that fails or does not
answer costs a run its report, and neither its result nor its time.
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
from airflow_provider_cio.reports.store import check_reports_url, open_folder
from airflow_provider_cio.settings import REPORT_RETENTION_DAYS

if TYPE_CHECKING:
    from concurrent.futures import Future

    from airflow_provider_cio.engine import Rejection
    from airflow_provider_cio.reports.store import Folder

log = logging.getLogger(__name__)

#: What every line begins with; the row's own columns follow.
_HEADER = ("query", "row", "identifier", "field", "reason", "message")
_NAME = "%Y-%m-%dT%H%M%S.%fZ.csv"
#: Characters that are written at once: few enough to hold twice, enough to keep the number of writes low.
_CHUNK = 256 * 1024
#: How long a run waits for one step of the store: longer than an object store takes for a part of an upload.
_STEP_SECONDS = 30
#: How long a run that has to end waits for its report: Airflow kills a task 5 seconds after the signal.
_HURRIED_SECONDS = 3
#: A clean-up that is slower, or has more to do, leaves the rest to the next run.
_CLEAN_UP_SECONDS = 10
_REMOVED_AT_ONCE = 1000


def report_name(started_at: dt.datetime) -> str:
    """Name the report of a run that started then."""
    return started_at.strftime(_NAME)


def started_at(name: str) -> dt.datetime | None:
    """Read from the name of a report when its run started; None when it is not a report's name."""
    try:
        found = dt.datetime.strptime(name, _NAME).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return found if report_name(found) == name else None  # strptime also takes other spellings


class Report:
    """The rejections of one run: all in a CSV, the first few in the log. Without a rejection there is no CSV.

    Args:
        workspace: The workspace's name.
        sync_name: The name of the sync.
        started_at: When the run started; names the file.

    Raises:
        ConfigurationError: The settings of reports cannot be used.
    """

    def __init__(self, workspace: str, sync_name: str, started_at: dt.datetime) -> None:
        url = check_reports_url()
        self._retention = _retention()
        self._name = report_name(started_at)
        self._log = RejectionLog()
        self._columns: list[str] = []
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_ALL)
        self._writes: Future[None] | None = None
        self._failed = False
        self._store = Worker("customerio-report")
        self._folder: Folder | None = None
        self._file: BinaryIO | None = None
        try:
            self._folder = self._store.submit(open_folder, url, workspace, sync_name).result(_STEP_SECONDS)
        except ConfigurationError:
            self._store.close()
            raise
        except Exception as error:  # noqa: BLE001 - every kind of store has errors of its own
            self._fail(error)

    @property
    def location(self) -> str | None:
        """The URL of the CSV; None when there is none."""
        if self._writes is None or self._failed or not self._folder:
            return None
        return self._folder.location(self._name)

    def expect(self, columns: list[str]) -> None:
        """Be told which columns the queries have."""
        self._columns = columns

    def add(self, rejection: Rejection) -> None:
        """Write a rejection. A report that cannot be written stops no run; the log says so."""
        self._log.add(rejection)
        if self._failed:
            return
        if not self._text.tell() and self._writes is None:
            self._writer.writerow(map(cell, [*_HEADER, *self._columns]))
        values = (
            rejection.query,
            rejection.row_index,
            rejection.identifier,
            rejection.field,
            rejection.reason,
            rejection.message,
            *(rejection.values.get(column) for column in self._columns),
        )
        self._writer.writerow(map(cell, values))
        if self._text.tell() >= _CHUNK:
            self._flush(_STEP_SECONDS)

    def close(self, *, hurried: bool = False) -> None:
        """End the CSV, which brings it to its store, and remove old ones of the sync.

        Args:
            hurried: The run was told to end, so that little time is left.
        """
        end = time.monotonic() + (_HURRIED_SECONDS if hurried else 2 * _STEP_SECONDS)
        if not self._failed and self._text.tell():
            self._flush(end - time.monotonic())
        if not self._failed and self._writes:
            self._wait_for(self._store.submit(self._close_file), end - time.monotonic())
        if not self._failed:
            self._remove_old(min(end - time.monotonic(), _CLEAN_UP_SECONDS))
        self._store.close()

    def _flush(self, seconds: float) -> None:
        """Hand what is written so far to the store, once the store has taken what it was handed before."""
        end = time.monotonic() + seconds
        if self._writes:
            self._wait_for(self._writes, seconds)
        if self._failed:
            return
        chunk = self._text.getvalue().encode(errors="backslashreplace")
        self._text.seek(0)
        self._text.truncate()
        self._writes = self._store.submit(self._write, chunk)
        if self._file is None:  # the first write shows whether the store can be written to
            self._wait_for(self._writes, end - time.monotonic())

    def _write(self, chunk: bytes) -> None:
        """Write to the store; in the store's thread, as everything that touches the file."""
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
            "The report cannot be written (%s): only the first rejections are kept, in this log."
            " Check the store that [customerio] reports_url names.",
            "the store does not answer" if isinstance(error, TimeoutError) else type(error).__name__,
        )

    def _remove_old(self, seconds: float) -> None:
        """Remove this sync's reports that are older than ``[customerio] report_retention_days``."""
        if self._folder is None:
            return
        before = dt.datetime.now(dt.UTC) - self._retention
        until = time.monotonic() + seconds
        try:
            self._store.submit(_remove, self._folder, before, until).result(max(seconds, 0))
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("Old reports of the sync cannot be removed: %s", type(error).__name__)


def _remove(folder: Folder, before: dt.datetime, until: float) -> None:
    """Remove the reports of runs that started before some time."""
    removed = 0
    for name in list(folder.names()):
        if time.monotonic() > until or removed >= _REMOVED_AT_ONCE:
            return
        if (day := started_at(name)) and day < before:
            folder.remove(name)
            removed += 1


def _retention() -> dt.timedelta:
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
