"""How far a running sync has come, for the pages: written to Airflow's task state store every few seconds."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.operators.supervision import supervisor_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from airflow_provider_cio.engine import Summary

log = logging.getLogger(__name__)

#: The key in the task state store.
PROGRESS_KEY = "customerio_progress"
#: Airflow's pages refresh every 3 seconds by default; each write is one request to the API server.
_SECONDS_BETWEEN_WRITES = 2.0
#: A rate of fewer seconds jumps with every batch.
_RATE_SECONDS = 10.0


@contextmanager
def write_progress(context: Context, summary: Summary) -> Iterator[None]:
    """Write the counts of a summary to the task state store while the block runs.

    A thread writes, so that a slow API server does not slow the run. The first write that fails is the last:
    progress is a convenience, and no run fails for it. Before Airflow 3.3 there is no store. Without a
    supervisor, as in ``dag.test()``, only one thread may use Airflow's API. In both cases nothing is written.

    Args:
        context: The context of the task.
        summary: Filled by the run.
    """
    store = context.get("task_state_store")
    if store is None or supervisor_connection() is None:
        yield
        return
    ended = threading.Event()
    writer = threading.Thread(
        target=_write, args=(store, summary, ended), name="customerio-progress", daemon=True
    )
    writer.start()
    try:
        yield
    finally:
        ended.set()


def _write(store: Any, summary: Summary, ended: threading.Event) -> None:
    """Write until the run has ended. The first write replaces the progress of an earlier try."""
    samples: list[tuple[float, int]] = []
    while True:
        samples.append((time.monotonic(), _rows_tried(summary)))
        while len(samples) > 2 and samples[-1][0] - samples[0][0] > _RATE_SECONDS:  # noqa: PLR2004 - a rate needs two
            del samples[0]
        try:
            store.set(PROGRESS_KEY, _progress(summary, samples))
        except Exception as error:  # noqa: BLE001 - of the network, the API or the database
            log.debug("The progress of the run cannot be written: %s", type(error).__name__)
            return
        if ended.wait(_SECONDS_BETWEEN_WRITES):
            return


def _progress(summary: Summary, samples: list[tuple[float, int]]) -> dict[str, Any]:
    (first, rows_before), (last, rows) = samples[0], samples[-1]
    queries = [name for name, counts in summary.queries.items() if counts.read]
    return {
        "query": queries[-1] if queries else "",
        "read": summary.rows_read,
        "imported": summary.rows_imported,
        "failed": summary.rows_failed,
        "seconds": round(summary.duration, 1),
        "rows_per_second": round(max(rows - rows_before, 0) / max(last - first, 0.001), 1),
    }


def _rows_tried(summary: Summary) -> int:
    """Return the rows that were accepted or rejected so far."""
    return summary.rows_imported + summary.rows_failed
