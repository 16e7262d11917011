"""A metadata database with many syncs and runs, filled with a few statements."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.models import DagModel, DagRun, Pool, TaskInstance
from airflow.models.asset import AssetModel, TaskOutletAssetReference
from airflow.models.dag import DagTag
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from sqlalchemy import insert

from airflow_provider_cio.state.names import asset_uri, dag_id, last_sync_time_key, pool_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection as SqlConnection
    from sqlalchemy import Engine

_RUNS_AT_ONCE = 5_000
_START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class PastRun:
    """A run that has ended.

    Args:
        number: The id of its row.
        workspace: The workspace's name.
        sync: The sync's name.
        start: When it started.
        rows: How many rows it read.
        failed: How many of them were rejected.
        seconds: How long it took.
    """

    number: int
    workspace: str
    sync: str
    start: dt.datetime
    rows: int
    failed: int = 0
    seconds: float = 28.0


def add_past_runs(engine: Engine, runs: list[PastRun]) -> None:
    """Add runs of DAGs that exist."""
    with engine.begin() as connection:
        _insert_runs(connection, runs)


def fill(engine: Engine, *, syncs: int, runs: int, workspaces: int = 5) -> list[str]:
    """Add syncs, each with finished runs, and return the ids of their DAGs.

    Args:
        engine: The metadata database, with Airflow's tables.
        syncs: How many syncs.
        runs: How many runs of each sync.
        workspaces: Over how many workspaces the syncs are spread.
    """
    names = [(f"workspace_{number % workspaces}", f"sync_{number}") for number in range(syncs)]
    with engine.begin() as connection:
        connection.execute(insert(DagBundleModel.__table__), [{"name": "dags-folder", "active": True}])
        connection.execute(
            insert(Pool),
            [
                {"pool": pool_name(f"workspace_{number}"), "slots": 1, "include_deferred": True}
                for number in range(workspaces)
            ],
        )
        for model, rows in _definitions(names):
            connection.execute(insert(model.__table__), rows)
        for first in range(0, syncs * runs, _RUNS_AT_ONCE):
            _insert_runs(
                connection,
                [
                    PastRun(
                        number + 1,
                        *names[number % syncs],
                        start=_START + dt.timedelta(minutes=30 * (number // syncs)),
                        rows=5_000,
                        failed=4 if number % 7 == 0 else 0,
                    )
                    for number in range(first, min(first + _RUNS_AT_ONCE, syncs * runs))
                ],
            )
    return [dag_id(*name) for name in names]


def _definitions(names: list[tuple[str, str]]) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    ids = [dag_id(*name) for name in names]
    versions = [uuid.uuid4() for _ in names]
    yield (
        DagModel,
        [
            {
                "dag_id": each,
                "is_paused": False,
                "is_stale": False,
                "bundle_name": "dags-folder",
                "relative_fileloc": "syncs.py",
                "description": "People who changed",
                "timetable_summary": "*/30 * * * *",
                "timetable_description": "Every 30 minutes",
                "timetable_type": "CronTriggerTimetable",
                "max_active_tasks": 16,
                "max_active_runs": 1,
                "max_consecutive_failed_dag_runs": 0,
                "has_task_concurrency_limits": False,
                "fail_fast": False,
                "exceeds_max_non_backfill": False,
                "next_dagrun_create_after": _START + dt.timedelta(days=60),
            }
            for each in ids
        ],
    )
    yield DagTag, [{"name": tag, "dag_id": each} for each in ids for tag in ("customerio", "people")]
    yield (
        AssetModel,
        [
            {"id": number, "name": asset_uri(*name), "uri": asset_uri(*name), "group": "asset", "extra": {}}
            for number, name in enumerate(names, 1)
        ],
    )
    yield (
        TaskOutletAssetReference,
        [{"asset_id": number, "dag_id": each, "task_id": "sync"} for number, each in enumerate(ids, 1)],
    )
    yield (
        DagVersion,
        [
            {"id": version, "dag_id": each, "version_number": 1, "bundle_name": "dags-folder"}
            for version, each in zip(versions, ids, strict=True)
        ],
    )
    yield (
        SerializedDagModel,
        [
            {"data": _serialized(*name), "dag_id": dag_id(*name), "dag_hash": "x", "dag_version_id": version}
            for name, version in zip(names, versions, strict=True)
        ],
    )
    yield (
        Variable,
        [{"key": last_sync_time_key(*name), "val": "1793491200", "is_encrypted": False} for name in names],
    )


def _serialized(workspace: str, sync: str) -> dict[str, Any]:
    uri = asset_uri(workspace, sync)
    fields = {
        "task_id": "sync",
        "pool": pool_name(workspace),
        "outlets": [{"__type": "asset", "__var": {"name": uri, "uri": uri}}],
        "people_query": "SELECT id, plan FROM people WHERE updated_at >= to_timestamp({{ last_sync_time }})",
    }
    return {
        "__version": 3,
        "dag": {
            "dag_id": dag_id(workspace, sync),
            "doc_md": "A page of documentation. " * 80,
            "timezone": "UTC",
            "tasks": [{"__type": "operator", "__var": fields}],
        },
    }


def _insert_runs(connection: SqlConnection, runs: list[PastRun]) -> None:
    keys = [
        {"dag_id": dag_id(run.workspace, run.sync), "run_id": f"scheduled__{run.start.isoformat()}"}
        for run in runs
    ]
    states = ["failed" if run.failed else "success" for run in runs]
    times = [
        {"start_date": run.start, "end_date": run.start + dt.timedelta(seconds=run.seconds + 2)}
        for run in runs
    ]
    connection.execute(
        insert(DagRun.__table__),
        [
            {
                **key,
                **time,
                "id": run.number,
                "state": state,
                "run_type": "scheduled",
                "run_after": run.start,
                "logical_date": run.start,
                "clear_number": 0,
                "span_status": "ended",
                "conf": {},
            }
            for run, key, state, time in zip(runs, keys, states, times, strict=True)
        ],
    )
    connection.execute(
        insert(TaskInstance.__table__),
        [
            {
                **key,
                **time,
                "id": uuid.uuid4(),
                "task_id": "sync",
                "map_index": -1,
                "state": state,
                "pool": pool_name(run.workspace),
                "pool_slots": 1,
                "try_number": 1,
                "span_status": "ended",
            }
            for run, key, state, time in zip(runs, keys, states, times, strict=True)
        ],
    )
    connection.execute(
        insert(XComModel.__table__),
        [
            {
                **key,
                "dag_run_id": run.number,
                "task_id": "sync",
                "map_index": -1,
                "key": "summary",
                "value": _summary(run),
            }
            for run, key in zip(runs, keys, strict=True)
        ],
    )


def _summary(run: PastRun) -> dict[str, Any]:
    imported = run.rows - run.failed
    return {
        "status": "Some rows failed" if run.failed else "Completed",
        "dry_run": False,
        "queries": {"people": {"read": run.rows, "imported": imported, "failed": run.failed}},
        "rows_read": run.rows,
        "rows_imported": imported,
        "rows_failed": run.failed,
        "added_to_segment": imported,
        "requests": run.rows // 200 + 1,
        "bytes": run.rows * 200,
        "warnings": [],
        "started_at": run.start.isoformat(),
        "finished_at": (run.start + dt.timedelta(seconds=run.seconds)).isoformat(),
        "duration": run.seconds,
        "last_sync_time": int(run.start.timestamp()) - 1800,
        "next_last_sync_time": int(run.start.timestamp()),
        "report": None,
        "report_url": None,
    }
