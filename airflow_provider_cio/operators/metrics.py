"""Metrics of a run, through Airflow's Stats. Airflow sends them to StatsD, DogStatsD or OpenTelemetry."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from airflow.sdk.observability.stats import Stats

from airflow_provider_cio.engine import Status
from airflow_provider_cio.state.last_completed import LastCompleted

if TYPE_CHECKING:
    from airflow_provider_cio.engine import Summary

log = logging.getLogger(__name__)

#: Airflow adds its own prefix, which is ``airflow`` by default.
_PREFIX = "customerio"


def send_metrics(workspace: str, sync_name: str, summary: Summary) -> None:
    """Send the metrics of a run that ended, unless it is a dry run. An error of the backend is only logged.

    Args:
        workspace: The name of the workspace.
        sync_name: The name of the sync.
        summary: The summary of the run.
    """
    if summary.dry_run:
        return
    try:
        _send(workspace, sync_name, summary)
    except Exception as error:  # noqa: BLE001 - of Airflow's API, or of a backend that users can replace
        log.warning("The metrics of the run cannot be sent: %s", type(error).__name__)


def _send(workspace: str, sync_name: str, summary: Summary) -> None:
    tags = {"workspace": workspace, "sync": sync_name}
    if summary.status is not Status.SKIPPED:  # a skipped run did nothing that could be counted
        counts = {
            "rows_read": summary.rows_read,
            "rows_imported": summary.rows_imported,
            "rows_failed": summary.rows_failed,
            "requests": summary.requests,
            "bytes": summary.bytes,
        }
        for name, count in counts.items():
            Stats.incr(f"{_PREFIX}.{name}", count, tags=tags)
        Stats.timing(f"{_PREFIX}.duration", dt.timedelta(seconds=summary.duration), tags=tags)
    age = _seconds_since_last_completed(workspace, sync_name, summary)
    if age is not None:
        Stats.gauge(f"{_PREFIX}.seconds_since_last_completed", age, tags=tags)


def _seconds_since_last_completed(workspace: str, sync_name: str, summary: Summary) -> float | None:
    """Return the age of the last run that Completed, which can be this run; None if there is no such run."""
    if summary.status is Status.COMPLETED:
        return 0
    completed = LastCompleted(workspace, sync_name).read()
    if completed is None:
        return None
    return max(round((dt.datetime.now(dt.UTC) - completed.finished_at).total_seconds(), 3), 0)
