"""The runs of the demo: each is started, checked against what it should have done, and shown."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine import Status
from demo.deployment import COMPANIES_DAG, PEOPLE_DAG, SIGNUPS_DAG
from demo.output import headline, say, step, title
from local.processes import LocalError
from local.sample_database import (
    COMPANIES,
    MEMBERSHIPS,
    MISTAKES,
    PEOPLE,
    SIGNUPS,
    correct_signups,
    first_person,
    log_in,
)

if TYPE_CHECKING:
    from demo.deployment import Deployment
    from local.airflow import LocalAirflow

_CHANGED = 50
_SEGMENT = "Active people"
_REPORT_COLUMNS = 6  # query, row, identifier, field, reason, message; those of the query follow


def import_people(deployment: Deployment) -> None:
    """Import everybody, then those who have changed.

    Raises:
        LocalError: A run did not do what it should; this holds for the other syncs, too.
    """
    title(f"{PEOPLE_DAG}: people, who are added to a segment")
    with step("The first run imports everybody"):
        summary = _run(deployment.airflow, PEOPLE_DAG, people=_rows(PEOPLE))
    _show(summary)
    _show_workspace(deployment)
    with (
        step(f"{_CHANGED} people log in: their rows in Postgres change"),
        deployment.postgres.connect() as connection,
    ):
        log_in(connection, _CHANGED)
    with step("The second run imports who has changed since the first"):
        summary = _run(deployment.airflow, PEOPLE_DAG, people=_rows(_CHANGED))
    _show(summary)
    _show_workspace(deployment)


def import_companies(deployment: Deployment) -> None:
    """Import objects and relationships."""
    title(f"{COMPANIES_DAG}: companies, and who works there")
    with step("The run imports companies as objects, then memberships as relationships"):
        summary = _run(
            deployment.airflow,
            COMPANIES_DAG,
            objects=_rows(COMPANIES),
            relationships=_rows(MEMBERSHIPS),
        )
    _show(summary)


def import_signups(deployment: Deployment) -> None:
    """Import rows some of which must fail, look into the report, and import them once they are corrected."""
    title(f"{SIGNUPS_DAG}: another workspace, and rows with mistakes")
    with step("The first run imports all rows that it can"):
        summary = _run(deployment.airflow, SIGNUPS_DAG, people=_rows(SIGNUPS, failed=MISTAKES))
    _show(summary)
    _show_report(deployment.airflow, summary["report_url"])
    with (
        step(f"Somebody corrects the {MISTAKES} rows in Postgres"),
        deployment.postgres.connect() as connection,
    ):
        correct_signups(connection)
    with step("The second run starts where the first did, and imports all rows"):
        summary = _run(deployment.airflow, SIGNUPS_DAG, people=_rows(SIGNUPS))
    _show(summary)


def _rows(read: int, *, failed: int = 0) -> dict[str, int]:
    return {"read": read, "imported": read - failed, "failed": failed}


def _run(airflow: LocalAirflow, dag_id: str, **expected: dict[str, int]) -> dict[str, Any]:
    """One run of a sync.

    Args:
        airflow: Where it runs.
        dag_id: The sync's DAG.
        expected: What should become of the rows of each query.

    Returns:
        Its summary.

    Raises:
        LocalError: Something else became of them, or the status is another; with the end of the task's log.
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
    pace = f"{requests:,} request{'' if requests == 1 else 's'}, {read / duration:,.0f} rows/s"
    status = summary["status"]
    headline(status, f"{counts}; {duration:.2f} s, {pace}", good=status == Status.COMPLETED)
    if len(queries) > 1:
        say(", ".join(f"{rows['imported']:,} {query}" for query, rows in queries.items()))
    say(f"last sync time {summary['last_sync_time']}, for the next run {summary['next_last_sync_time']}")


def _show_workspace(deployment: Deployment) -> None:
    """Show that the workspace knows what the database knows.

    Raises:
        LocalError: It knows something else.
    """
    with deployment.postgres.connect() as connection:
        person, logins = first_person(connection)
    known = deployment.production.attributes(str(person)).get("logins")
    if str(known) != str(logins):
        raise LocalError(f"Person {person} has {logins} logins in Postgres, but the workspace says: {known}")
    members = deployment.production.segment_sizes().get(_SEGMENT)
    if members != PEOPLE:
        raise LocalError(f"The segment {_SEGMENT!r} should have {PEOPLE:,} people, but has {members}")
    say(f"the workspace: person {person} with {logins:,} logins, as in Postgres")
    say(f"the segment {_SEGMENT}: {members:,} people")


def _show_report(airflow: LocalAirflow, url: str) -> None:
    """Show the first lines of a report, and where all of it is.

    Raises:
        LocalError: It has not a line for each of the rows that failed.
    """
    lines = list(csv.reader(io.StringIO(airflow.client.text(url))))
    if len(lines) != 1 + MISTAKES:
        raise LocalError(f"The report should have {1 + MISTAKES} lines, but has {len(lines)}: {url}")
    say()
    for line in lines:
        say(",".join([*line[:_REPORT_COLUMNS], "…"]))
    say()
    say(f"the report: {url}")
    say("in Airflow, it is the link “Failed rows” of the task")
