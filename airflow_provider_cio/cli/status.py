"""The state of every sync, read from Airflow's database, as ``airflow customerio status`` shows it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.models import DagModel, DagRun, TaskInstance, Variable
from airflow.models.asset import AssetModel, TaskOutletAssetReference
from airflow.models.dag import DagTag
from airflow.models.xcom import XComModel
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from sqlalchemy import and_, select

from airflow_provider_cio.dag_factory.broken_specs import SPEC_ERROR_TAG
from airflow_provider_cio.engine import Status
from airflow_provider_cio.state.names import asset_uri, last_sync_time_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

#: The number of latest runs in which the last one that tried all rows is looked for.
_RUNS = 50
#: Characters of a line with names and a schedule of the largest length.
_WIDEST = 1_000
_SCHEME = asset_uri("", "")[:-1]
_STATES = {
    "running": "Running",
    "restarting": "Running",
    "up_for_retry": "Waiting to retry",
    "success": "Completed",
    "failed": Status.FAILED.value,
    "upstream_failed": Status.FAILED.value,
    "skipped": Status.SKIPPED.value,
    "removed": Status.FAILED.value,
}
_TRIED_ALL = {Status.COMPLETED.value, Status.SOME_ROWS_FAILED.value}
_ENDED = {status.value for status in Status}
_STYLES = {"Completed": "green", "Failed": "red", "Some rows failed": "red", "Broken spec": "red"}
_SECONDS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}


@dataclass(frozen=True)
class LastRun:
    """The last run of a sync.

    Args:
        run_id: The id of the DAG run.
        started_at: When the task started, in ISO 8601; None while it waits.
        finished_at: When it ended.
        dry_run: Whether it sent nothing.
        rows_read: The number of rows that it read; None while it runs, and if it left no summary.
        rows_imported: The number of rows that Customer.io accepted.
        rows_failed: The number of rows that were rejected.
        rows_to_retry: The number of failed rows that the next run tries again.
    """

    run_id: str
    started_at: str | None
    finished_at: str | None
    dry_run: bool = False
    rows_read: int | None = None
    rows_imported: int | None = None
    rows_failed: int | None = None
    rows_to_retry: int | None = None

    @property
    def failing_rows(self) -> int:
        """The number of rows that are still to be corrected after this run."""
        return self.rows_to_retry or self.rows_failed or 0


@dataclass(frozen=True)
class SyncStatus:
    """The state of one sync.

    Args:
        workspace: The name of the workspace; empty if a broken spec does not have it.
        sync: The name of the sync.
        dag_id: The DAG that runs it.
        state: The status of its last run, or Running, Waiting, Waiting to retry, Dry run, Never run or
            Broken spec.
        paused: Whether Airflow starts no scheduled runs.
        last_run: Its last run.
        failing_rows: The number of rows that failed in the last run that tried all rows.
        last_sync_time: The last sync time in Unix seconds; None if the Variable holds something else.
        last_sync_at: The same as a date in ISO 8601; None for 0.
        last_sync_age: The seconds since then.
        next_run: When the next scheduled run is due, in ISO 8601.
        schedule: The schedule, as Airflow shows it.
    """

    workspace: str
    sync: str
    dag_id: str
    state: str
    paused: bool
    last_run: LastRun | None = None
    failing_rows: int = 0
    last_sync_time: int | None = None
    last_sync_at: str | None = None
    last_sync_age: int | None = None
    next_run: str | None = None
    schedule: str = ""


def read_statuses(session: Session, workspace: str | None = None) -> list[SyncStatus]:
    """Read the state of all syncs, in the order of their names.

    A sync is found by the asset that its task updates, so the syncs of mapped tasks are not among them.

    Args:
        session: A session of Airflow's database.
        workspace: Read only the syncs of this workspace.
    """
    found = [*_syncs(session), *_broken_specs(session)]
    chosen = [each for each in found if workspace is None or each.workspace == workspace]
    return sorted(chosen, key=lambda each: (each.workspace, each.sync, each.dag_id))


def show(statuses: list[SyncStatus], out: Console) -> None:
    """Show the states as a table."""
    now = dt.datetime.now(dt.UTC)
    table = Table(box=None, title="Times are UTC", title_justify="left", title_style="dim")
    for heading in ("sync", "state", "last run"):
        table.add_column(heading, no_wrap=True)
    for heading in ("read", "imported", "failed", "failing"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("last sync time", "next run"):
        table.add_column(heading, no_wrap=True)
    for each in statuses:
        run = each.last_run
        counts = (run.rows_read, run.rows_imported, run.rows_failed) if run else (None, None, None)
        table.add_row(
            escape(f"{each.workspace}.{each.sync}" if each.workspace else each.dag_id),
            f"[{_STYLES.get(each.state, 'none')}]{each.state}[/]",
            _time(run.finished_at or run.started_at, now) if run else "",
            *("" if count is None else f"{count:,}" for count in counts),
            f"{each.failing_rows:,}" if each.failing_rows else "",
            _time(each.last_sync_at, now) or _no_time(each),
            "paused" if each.paused else _time(each.next_run, now) or escape(each.schedule),
        )
    wide = Console(width=_WIDEST)
    width = Measurement.get(wide, wide.options, table).maximum
    # A table that is cut off at the 80 columns of a pipe would lose its last columns.
    Console(file=out.file, width=max(width, out.width), soft_wrap=True, highlight=False).print(table)


def as_json(statuses: list[SyncStatus]) -> str:
    """Return the states as a JSON array."""
    return json.dumps([dataclasses.asdict(each) for each in statuses], indent=2)


def _syncs(session: Session) -> Iterator[SyncStatus]:
    tasks = session.execute(
        select(DagModel, TaskOutletAssetReference.task_id, AssetModel.uri)
        .join(TaskOutletAssetReference, TaskOutletAssetReference.dag_id == DagModel.dag_id)
        .join(AssetModel, AssetModel.id == TaskOutletAssetReference.asset_id)
        .where(AssetModel.uri.startswith(_SCHEME), ~DagModel.is_stale)
    )
    for dag, task_id, uri in tasks.all():
        workspace, _, sync_name = uri.removeprefix(_SCHEME).partition("/")
        runs = _latest_runs(session, dag.dag_id, task_id)
        state, last_run = runs[0] if runs else ("Never run", None)
        tried_all = (run for state, run in runs if state in _TRIED_ALL and not run.dry_run)
        yield SyncStatus(
            workspace=workspace,
            sync=sync_name,
            dag_id=dag.dag_id,
            state=state,
            paused=dag.is_paused,
            last_run=last_run,
            failing_rows=next((run.failing_rows for run in tried_all), 0),
            **_last_sync_time(workspace, sync_name),
            next_run=_iso(None if dag.is_paused else dag.next_dagrun_create_after),
            schedule="" if dag.timetable_summary in {None, "None"} else dag.timetable_summary,
        )


def _broken_specs(session: Session) -> Iterator[SyncStatus]:
    broken = select(DagTag.dag_id).where(DagTag.name == SPEC_ERROR_TAG)
    for dag in session.scalars(select(DagModel).where(DagModel.dag_id.in_(broken), ~DagModel.is_stale)):
        _, *names = dag.dag_id.split(".")
        workspace, sync_name = names if len(names) == 2 else ("", names[-1])  # noqa: PLR2004 - see `dag_id`
        yield SyncStatus(workspace, sync_name, dag.dag_id, "Broken spec", dag.is_paused)


def _latest_runs(session: Session, dag_id: str, task_id: str) -> list[tuple[str, LastRun]]:
    """Return the latest runs of a task with their states, the newest first."""
    rows = session.execute(
        select(
            DagRun.run_id,
            TaskInstance.state.label("state"),
            TaskInstance.start_date,
            TaskInstance.end_date,
            XComModel.value,
        )
        .join(TaskInstance, and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id))
        .outerjoin(
            XComModel,
            and_(
                XComModel.dag_run_id == DagRun.id,
                XComModel.task_id == TaskInstance.task_id,
                XComModel.map_index == TaskInstance.map_index,
                XComModel.key == "summary",
            ),
        )
        .where(DagRun.dag_id == dag_id, TaskInstance.task_id == task_id)
        .order_by(DagRun.id.desc())
        .limit(_RUNS)
    )
    return [_run(row) for row in rows]


def _run(row: Any) -> tuple[str, LastRun]:
    """Return the state of a run, and its numbers."""
    state = _STATES.get(str(row.state), "Waiting")
    started_at, finished_at = _iso(row.start_date), _iso(row.end_date)
    summary = XComModel.deserialize_value(row) if row.value is not None else None
    if state not in _ENDED:  # its summary is that of an earlier try
        return state, LastRun(row.run_id, started_at, None)
    if not isinstance(summary, dict):
        return state, LastRun(row.run_id, started_at, finished_at)
    dry_run = bool(summary.get("dry_run"))
    if state == Status.COMPLETED and dry_run:
        state = "Dry run"
    elif summary.get("status") == Status.SOME_ROWS_FAILED:
        # With `failed_rows: retry`, the task succeeds if no row failed for the first time.
        state = Status.SOME_ROWS_FAILED.value
    names = ("rows_read", "rows_imported", "rows_failed", "rows_to_retry")
    counts = {name: summary.get(name) for name in names}
    return state, LastRun(row.run_id, started_at, finished_at, dry_run, **counts)


def _last_sync_time(workspace: str, sync_name: str) -> dict[str, Any]:
    """Return the fields about the last sync time, which is 0 until a run has Completed."""
    text = str(Variable.get(last_sync_time_key(workspace, sync_name), default_var="0")).strip()  # noqa: AIR311
    try:
        seconds = int(text)
        time = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return {"last_sync_time": None}
    if not seconds:
        return {"last_sync_time": 0}
    age = int((dt.datetime.now(dt.UTC) - time).total_seconds())
    return {"last_sync_time": seconds, "last_sync_at": _iso(time), "last_sync_age": age}


def _no_time(status: SyncStatus) -> str:
    if status.state == "Broken spec":
        return ""
    return "not valid" if status.last_sync_time is None else "0: all rows"


def _iso(time: dt.datetime | None) -> str | None:
    return time.astimezone(dt.UTC).isoformat(timespec="seconds") if time else None


def _time(text: str | None, now: dt.datetime) -> str:
    """Write a time as a date, and how long ago it was or how far away it is."""
    if text is None:
        return ""
    time = dt.datetime.fromisoformat(text)
    seconds = int((now - time).total_seconds())
    distance = abs(seconds)
    unit, size = next(((unit, size) for unit, size in _SECONDS.items() if distance >= size), ("s", 1))
    words = f"{distance // size} {unit}"
    return f"{time:%Y-%m-%d %H:%M} ({f'{words} ago' if seconds >= 0 else f'in {words}'})"
