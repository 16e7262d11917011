"""Runs of DAGs, their summaries, task instances, progress and rendered queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import DagRunState, State
from sqlalchemy import JSON, Text, and_, case, cast, func, select, type_coerce

from airflow_provider_cio.operators.progress import PROGRESS_KEY
from airflow_provider_cio.plugin.metadata.dags import QUERIES
from airflow_provider_cio.plugin.summaries import (
    LONGEST_SUMMARY,
    SUMMARY_KEY,
    Progress,
    RunSummary,
    parse_progress,
    parse_summary,
)

try:
    from airflow.models.task_state_store import TaskStateStoreModel
except ImportError:  # before Airflow 3.3
    TaskStateStoreModel = None  # type: ignore[assignment, misc]

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row, Select
    from sqlalchemy.orm import Session

#: States of a task that has not ended. A finished run has none of them.
_UNFINISHED = [str(state) for state in State.unfinished if state]


_ACTIVE = [DagRunState.QUEUED, DagRunState.RUNNING]


class Run(msgspec.Struct, frozen=True, gc=False):
    """A run of a DAG. A page of 500 syncs has thousands, which Python's garbage collector can ignore.

    Args:
        id: The number of the row in the database; later runs have larger ones.
        dag_id: The DAG's id.
        run_id: The run's id.
        state: The state that Airflow shows.
        run_type: ``scheduled``, ``manual``, ``asset_triggered`` or ``backfill``.
        user: Who triggered the run, if a person did.
        conf: What the run was asked for; None in a list.
        run_after: When the run was due.
        start: When the run started.
        end: When it ended.
        summaries: The summaries of its tasks, by task id and map index.
    """

    id: int
    dag_id: str
    run_id: str
    state: str
    run_type: str
    user: str | None
    conf: Any
    run_after: dt.datetime
    start: dt.datetime | None
    end: dt.datetime | None
    summaries: dict[tuple[str, int], RunSummary]

    @property
    def active(self) -> bool:
        """Whether the run has not ended."""
        return self.state in _ACTIVE


@dataclass(frozen=True)
class Instance:
    """A task instance of a run: its state and its tries."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    start: dt.datetime | None
    end: dt.datetime | None
    try_number: int


def read_latest_runs(session: Session, dag_ids: Collection[str], *, per_dag: int) -> dict[str, list[Run]]:
    """Read the latest runs of each DAG with their summaries, oldest first.

    Args:
        session: A session of the metadata database.
        dag_ids: Which DAGs.
        per_dag: How many runs of each.
    """
    ranked = (
        select(
            DagRun.id,
            func.row_number().over(partition_by=DagRun.dag_id, order_by=DagRun.id.desc()).label("number"),
        )
        .where(DagRun.dag_id.in_(dag_ids))
        .subquery()
    )
    query = _runs(with_conf=False).join(ranked, ranked.c.id == DagRun.id).where(ranked.c.number <= per_dag)
    runs: dict[str, list[Run]] = {dag_id: [] for dag_id in dag_ids}
    for run in _collect(session.execute(query).all(), with_conf=False):
        runs[run.dag_id].append(run)
    return runs


def read_runs(
    session: Session, dag_id: str, *, limit: int, before: int | None = None, run_id: str | None = None
) -> list[Run]:
    """Read runs of one DAG with their summaries, newest first.

    Args:
        session: A session of the metadata database.
        dag_id: The DAG.
        limit: How many runs at most.
        before: Only runs that are older than the run with this number.
        run_id: Only this run.
    """
    ids = select(DagRun.id).where(DagRun.dag_id == dag_id)
    if before is not None:
        ids = ids.where(DagRun.id < before)
    if run_id is not None:
        ids = ids.where(DagRun.run_id == run_id)
    chosen = ids.order_by(DagRun.id.desc()).limit(limit).subquery()
    query = _runs(with_conf=True).join(chosen, chosen.c.id == DagRun.id)
    return _collect(session.execute(query).all(), with_conf=True)[::-1]


def _runs(*, with_conf: bool) -> Select[Any]:
    text = cast(XComModel.value, Text)
    return (
        select(
            DagRun.id,
            DagRun.dag_id,
            DagRun.run_id,
            DagRun._state.label("state"),  # noqa: SLF001 - the synonym does not label
            DagRun.run_type,
            DagRun.triggering_user_name,
            DagRun.run_after,
            DagRun.start_date,
            DagRun.end_date,
            *([DagRun.conf] if with_conf else []),
            XComModel.task_id,
            XComModel.map_index,
            case((func.length(text) <= LONGEST_SUMMARY, text)).label("summary"),
        )
        .outerjoin(XComModel, and_(XComModel.dag_run_id == DagRun.id, XComModel.key == SUMMARY_KEY))
        .order_by(DagRun.id)
    )


def _collect(rows: Sequence[Row[Any]], *, with_conf: bool) -> list[Run]:
    runs: dict[int, Run] = {}
    for row in rows:
        run = runs.get(row.id)
        if run is None:
            run = runs[row.id] = Run(
                id=row.id,
                dag_id=row.dag_id,
                run_id=row.run_id,
                state=row.state or "",
                run_type=str(row.run_type),
                user=row.triggering_user_name,
                conf=row.conf if with_conf else None,
                run_after=row.run_after,
                start=row.start_date,
                end=row.end_date,
                summaries={},
            )
        if summary := parse_summary(row.summary):
            run.summaries[row.task_id, row.map_index] = summary
    return list(runs.values())


def read_unfinished(session: Session, dag_ids: Collection[str]) -> dict[tuple[str, str], list[Instance]]:
    """Read the task instances that have not ended, by DAG and run."""
    query = _instances().where(TaskInstance.dag_id.in_(dag_ids), TaskInstance.state.in_(_UNFINISHED))
    found: dict[tuple[str, str], list[Instance]] = {}
    for row in session.execute(query):
        found.setdefault((row.dag_id, row.run_id), []).append(Instance(*row))
    return found


def read_instances(session: Session, dag_id: str, run_id: str) -> list[Instance]:
    """Read all task instances of a run."""
    query = _instances().where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    return [Instance(*row) for row in session.execute(query)]


def _instances() -> Select[Any]:
    query = select(
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.state,
        TaskInstance.start_date,
        TaskInstance.end_date,
        TaskInstance.try_number,
    )
    ordered: Any = query.order_by(TaskInstance.task_id, TaskInstance.map_index)
    return ordered  # type: ignore[no-any-return]


def read_progress(session: Session, dag_ids: Collection[str]) -> dict[tuple[str, str], Progress]:
    """Read how far active runs have come, by DAG and run; nothing before Airflow 3.3."""
    if TaskStateStoreModel is None:
        return {}
    query = (
        select(TaskStateStoreModel.dag_id, TaskStateStoreModel.run_id, TaskStateStoreModel.value)
        .join(DagRun, DagRun.id == TaskStateStoreModel.dag_run_id)
        .where(
            DagRun.dag_id.in_(dag_ids),
            DagRun._state.in_(_ACTIVE),  # noqa: SLF001 - as above
            TaskStateStoreModel.key == PROGRESS_KEY,
            func.length(TaskStateStoreModel.value) <= LONGEST_SUMMARY,
        )
        .order_by(TaskStateStoreModel.updated_at)
    )
    found = {(dag_id, run_id): parse_progress(text) for dag_id, run_id, text in session.execute(query)}
    return {key: progress for key, progress in found.items() if progress}


def read_rendered_queries(
    session: Session, dag_id: str, run_id: str
) -> dict[tuple[str, int], dict[str, str]]:
    """Read the rendered queries of a run, by task id and map index. Airflow keeps those of recent runs."""
    model = RenderedTaskInstanceFields
    query = select(model.task_id, model.map_index, type_coerce(model.rendered_fields, JSON)).where(
        model.dag_id == dag_id, model.run_id == run_id
    )
    found = {}
    for task_id, map_index, fields in session.execute(query):
        queries = {
            kind: fields[name]
            for kind, name in QUERIES.items()
            if isinstance(fields, dict) and isinstance(fields.get(name), str)
        }
        if queries:
            found[task_id, map_index] = queries
    return found
