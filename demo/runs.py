"""The runs of the demo. Each is triggered, compared with the expected result, and shown."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine import Status
from demo.deployment import COMPANIES_DAG, PEOPLE_DAG, SIGNUPS_DAG
from demo.output import show_line, show_status, show_title, step
from local.processes import LocalError
from local.sample_database import (
    COMPANIES,
    MEMBERSHIPS,
    MISTAKES,
    PEOPLE,
    SIGNUPS,
    correct_signups,
    ended_memberships,
    first_person,
    log_in,
)

if TYPE_CHECKING:
    from demo.deployment import Deployment
    from local.airflow import LocalAirflow

_CHANGED = 50
_SEGMENT = "Active people"
_REPORT_COLUMNS = 6  # query, row, identifier, field, reason, message; the columns of the query follow


def import_people(deployment: Deployment) -> None:
    """Import all people, then the people that changed.

    Raises:
        LocalError: A run did not have the expected result. The other functions raise it, too.
    """
    show_title(f"1. People and a segment ({PEOPLE_DAG})")
    with step("First run: import all people"):
        summary = _run(deployment.airflow, PEOPLE_DAG, people=_rows(PEOPLE))
    _show(summary)
    _show_workspace(deployment)
    with (
        step(f"Change the rows of {_CHANGED} people in Postgres, as if they had logged in"),
        deployment.postgres.connect() as connection,
    ):
        log_in(connection, _CHANGED)
    with step("Second run: import only the people that changed since the first run"):
        summary = _run(deployment.airflow, PEOPLE_DAG, people=_rows(_CHANGED))
    _show(summary)
    _show_workspace(deployment)


def import_companies(deployment: Deployment) -> None:
    """Import objects and relationships."""
    show_title(f"2. Companies and relationships ({COMPANIES_DAG})")
    with step("Run: import companies as objects, then memberships as relationships"):
        summary = _run(
            deployment.airflow,
            COMPANIES_DAG,
            objects=_rows(COMPANIES),
            relationships=_rows(MEMBERSHIPS),
        )
    _show(summary)
    with deployment.postgres.connect() as connection:
        ended = ended_memberships(connection)
    show_line(
        f"{ended:,} of the memberships have ended, so the workspace has {MEMBERSHIPS - ended:,} relationships"
    )


def import_signups(deployment: Deployment) -> None:
    """Import rows with mistakes, show the report, correct the rows and import them again."""
    show_title(f"3. Rows with mistakes, in another workspace ({SIGNUPS_DAG})")
    with step(f"First run: import all rows but the {MISTAKES} with mistakes"):
        summary = _run(deployment.airflow, SIGNUPS_DAG, people=_rows(SIGNUPS, failed=MISTAKES))
    _show(summary)
    _show_report(deployment.airflow, summary["report_url"])
    with (
        step(f"Correct the {MISTAKES} rows in Postgres"),
        deployment.postgres.connect() as connection,
    ):
        correct_signups(connection)
    with step("Second run: start from the same last sync time, and import all rows"):
        summary = _run(deployment.airflow, SIGNUPS_DAG, people=_rows(SIGNUPS))
    _show(summary)


def _rows(read: int, *, failed: int = 0) -> dict[str, int]:
    return {"read": read, "imported": read - failed, "failed": failed}


def _run(airflow: LocalAirflow, dag_id: str, **expected: dict[str, int]) -> dict[str, Any]:
    """Run a sync and compare its summary with the expected result.

    Args:
        airflow: The Airflow to run it in.
        dag_id: The sync's DAG.
        expected: Expected counts of rows, by query.

    Returns:
        The summary of the run.

    Raises:
        LocalError: Counts or status differ. The message has the end of the task's log.
    """
    run_id = airflow.client.trigger(dag_id)
    airflow.client.wait_for_run(dag_id, run_id)
    summary: dict[str, Any] | None = airflow.client.xcom(dag_id, run_id, "sync", "summary")
    some_fail = any(rows["failed"] for rows in expected.values())
    status = Status.SOME_ROWS_FAILED if some_fail else Status.COMPLETED
    if summary and (summary["status"], summary["queries"]) == (status, expected):
        return summary
    log = airflow.client.task_log_tail(dag_id, run_id, "sync")
    raise LocalError(
        f"The run of {dag_id} should have ended as “{status}” with {expected}; its summary is {summary}.\n"
        f"The end of its task's log:\n{log}"
    )


def _show(summary: dict[str, Any]) -> None:
    queries, duration, requests = summary["queries"], summary["duration"], summary["requests"]
    read, imported, failed = (summary[f"rows_{what}"] for what in ("read", "imported", "failed"))
    counts = f"{read:,} rows read, {imported:,} imported, {failed:,} failed"
    speed = f"{requests:,} request{'' if requests == 1 else 's'}, {read / duration:,.0f} rows/s"
    status = summary["status"]
    show_status(status, f"{counts}; {duration:.2f} s, {speed}", good=status == Status.COMPLETED)
    if len(queries) > 1:
        show_line(", ".join(f"{rows['imported']:,} {query}" for query, rows in queries.items()))
    this_run, next_run = (_selected_rows(summary[name]) for name in ("last_sync_time", "next_last_sync_time"))
    show_line(f"rows of this run: {this_run}; of the next run: {next_run}")


def _selected_rows(last_sync_time: int) -> str:
    """Describe the rows that a query with this last sync time selects."""
    if not last_sync_time:
        return "all (last sync time 0)"
    time = dt.datetime.fromtimestamp(last_sync_time, dt.UTC)
    return f"changed since {time:%Y-%m-%d %H:%M:%S} UTC (last sync time {last_sync_time})"


def _show_workspace(deployment: Deployment) -> None:
    """Compare a person and the segment in the workspace with the database, and show them.

    Raises:
        LocalError: They differ.
    """
    with deployment.postgres.connect() as connection:
        person, logins = first_person(connection)
    known = deployment.production.attributes(str(person)).get("logins")
    if str(known) != str(logins):
        raise LocalError(f"Person {person} has {logins} logins in Postgres, but {known} in the workspace.")
    members = deployment.production.segment_sizes().get(_SEGMENT)
    if members != PEOPLE:
        raise LocalError(f"The segment {_SEGMENT!r} has {members} people instead of {PEOPLE:,}.")
    show_line(f"in the workspace: person {person} has {logins:,} logins, as in Postgres")
    show_line(f"in the workspace: the segment {_SEGMENT} has {members:,} people")


def _show_report(airflow: LocalAirflow, url: str) -> None:
    """Show the report of failed rows and its URL.

    Raises:
        LocalError: The report does not have one line for each failed row.
    """
    lines = list(csv.reader(io.StringIO(airflow.client.text(url))))
    if len(lines) != 1 + MISTAKES:
        raise LocalError(f"The report has {len(lines)} lines instead of {1 + MISTAKES}: {url}")
    show_line("the report of failed rows:")
    show_line()
    for line in lines:
        show_line(",".join([*line[:_REPORT_COLUMNS], "…"]))
    show_line()
    show_line(f"to download it: {url}")
    show_line("(in Airflow: the link “Failed rows” of the task)")
