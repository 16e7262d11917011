"""Reports: a CSV of a run's rejections, written while the run goes, wherever Airflow can store objects.

A report holds people's data: a file of it is for its owner only, and the link to it is for users who may read
the DAG.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import logging
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import ObjectStoragePath
from airflow.sdk.configuration import conf

from airflow_provider_cio.rejection_log import RejectionLog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_cio.engine import Rejection

log = logging.getLogger(__name__)

#: What every line begins with; the row's own columns follow.
_HEADER = ("query", "row", "identifier", "field", "reason", "message")
_NAME = "%Y-%m-%dT%H%M%S.%fZ.csv"
#: A spreadsheet runs texts that begin with one of these.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def reports_folder() -> ObjectStoragePath:
    """Say where reports are: ``[customerio] reports_url``."""
    return ObjectStoragePath(conf.get("customerio", "reports_url"))


class Report:
    """The rejections of one run: all in a CSV, the first few in the log. Without a rejection there is no CSV.

    Args:
        workspace: The workspace's name.
        sync: The sync's name.
        started_at: When the run started; names the file.
    """

    def __init__(self, workspace: str, sync: str, started_at: dt.datetime) -> None:
        self._folder = reports_folder() / workspace / sync
        self._path = self._folder / started_at.strftime(_NAME)
        self._log = RejectionLog()
        self._columns: list[str] = []
        self._file: io.TextIOWrapper | None = None
        self._failed = False

    @property
    def location(self) -> str | None:
        """The URL of the CSV; None when there is none."""
        return None if self._file is None or self._failed else str(self._path)

    def expect(self, columns: list[str]) -> None:
        """Be told which columns the queries have."""
        self._columns = columns

    def add(self, rejection: Rejection) -> None:
        """Write a rejection. A report that cannot be written stops no run; the log says so."""
        self._log.add(rejection)
        if self._failed:
            return
        try:
            self._write(
                [
                    rejection.query,
                    rejection.row,
                    rejection.identifier,
                    rejection.field,
                    rejection.reason,
                    rejection.message,
                    *(rejection.values.get(column) for column in self._columns),
                ]
            )
        except Exception as error:  # noqa: BLE001 - every kind of store has errors of its own
            self._fail(error)

    def close(self) -> None:
        """End the CSV, which brings it to its store, and remove old ones of the sync."""
        try:
            if self._file:
                self._file.close()
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)
        self._remove_old()

    def _write(self, values: Iterable[Any]) -> None:
        if self._file is None:
            self._file = self._open()
            self._writer = csv.writer(self._file)
            self._writer.writerow(map(_cell, [*_HEADER, *self._columns]))
        self._writer.writerow(map(_cell, values))

    def _open(self) -> io.TextIOWrapper:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._path.protocol == "file":  # created before it is opened, so that nobody looks in between
            os.close(os.open(self._path.path, os.O_CREAT | os.O_WRONLY, mode=0o600))
        # Not through the path's own `open`, which notes every single write as lineage.
        return io.TextIOWrapper(self._path.fs.open(self._path.path, "wb"), encoding="utf-8", newline="")

    def _fail(self, error: Exception) -> None:
        self._failed = True
        log.error(
            "The report cannot be written to %s (%s): only the first rejections are kept, in this log."
            " Check [customerio] reports_url.",
            self._path,
            type(error).__name__,
        )

    def _remove_old(self) -> None:
        """Remove this sync's reports that are older than ``[customerio] report_retention_days``."""
        age = dt.timedelta(days=conf.getfloat("customerio", "report_retention_days"))
        try:
            for path in self._folder.iterdir() if self._folder.exists() else ():
                if (day := _started_at(path.name)) and day < dt.datetime.now(dt.UTC) - age:
                    path.unlink()
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("Old reports in %s cannot be removed: %s", self._folder, type(error).__name__)


def _started_at(name: str) -> dt.datetime | None:
    """Read from the name of a report when its run started."""
    try:
        return dt.datetime.strptime(name, _NAME).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _cell(value: Any) -> str:
    """Write a value as people read it, and a text never as something that a spreadsheet would run."""
    text = value_text(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text


def value_text(value: Any) -> str:
    """Write a value as people read it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (bool, list, dict, msgspec.Raw)):
        return msgspec.json.encode(value).decode()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
