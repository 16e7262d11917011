"""DAGs of syncs, as the DAG processor has stored them. What is not of the expected types is ignored."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.models.asset import AssetModel, TaskOutletAssetReference
from airflow.models.dag import DagModel, DagTag
from airflow.models.dag_version import DagVersion
from airflow.models.serialized_dag import SerializedDagModel
from sqlalchemy import LargeBinary, Text, and_, cast, func, select, type_coerce, union

from airflow_provider_cio.dag_factory.broken_specs import CUSTOMERIO_TAG, SPEC_ERROR_TAG
from airflow_provider_cio.operators.queries import QUERY_ARGUMENTS
from airflow_provider_cio.state.names import asset_uri

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from sqlalchemy import Row, Select
    from sqlalchemy.orm import Session

_ASSET_SCHEME = asset_uri("", "")[:-1]
#: The operator's arguments with queries, by the name that a summary gives to the query.
QUERIES = {arguments.kind.name: arguments.sql for arguments in QUERY_ARGUMENTS}
_OPERATOR_MODULE = "airflow_provider_cio.operators.sync"


_SPEC_ERROR = re.compile(r"^(`{3,})text\n(.*?)\n\1", re.DOTALL | re.MULTILINE)


#: A broken spec's message is shown in full up to this length; one mistake has about 200 characters.
LONGEST_MESSAGE = 4_000


@dataclass(frozen=True)
class SyncTask:
    """A task of a DAG that runs a sync.

    Args:
        task_id: The task's id.
        workspace: The workspace's name.
        sync: The sync's name.
        pool: The pool that the task waits for.
        queries: Unrendered queries by kind: people, objects, relationships.
        connections: Ids of the connections that the task uses, as far as the DAG shows them.
    """

    task_id: str
    workspace: str
    sync: str
    pool: str
    queries: dict[str, str]
    connections: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyncDag:
    """A DAG of one sync, or of several.

    Args:
        dag_id: The DAG's id.
        paused: Whether Airflow starts no scheduled runs.
        description: The sync's description.
        schedule: The schedule in words; empty without one.
        timezone: The time zone of the schedule.
        next_run: When the next scheduled run is due.
        file: Bundle and path of the DAG's file.
        tasks: Its tasks that run syncs.
        error: What is wrong with the spec; None for a spec that can be used.
        mapped: Whether a mapped task runs syncs, whose names only its runs show.
    """

    dag_id: str
    paused: bool
    description: str
    schedule: str
    timezone: str
    next_run: dt.datetime | None
    file: tuple[str, str]
    tasks: tuple[SyncTask, ...] = ()
    error: str | None = None
    mapped: bool = False

    @property
    def ours(self) -> bool:
        """Whether the DAG runs syncs, or would if its spec were correct."""
        return bool(self.tasks) or self.error is not None or self.mapped

    @property
    def workspace(self) -> str:
        """The workspace of the first sync; empty if it is unknown."""
        if self.tasks:
            return self.tasks[0].workspace
        parts = self.dag_id.split(".")
        return parts[1] if parts[0] == "customerio" and len(parts) == 3 else ""  # noqa: PLR2004 - of `dag_id`

    @property
    def name(self) -> str:
        """The name of the sync; the DAG's id if the DAG has several syncs, or none that is known."""
        if len(self.tasks) == 1:
            return self.tasks[0].sync
        return self.dag_id.rpartition(".")[2] if self.error is not None else self.dag_id


class _TaskFields(msgspec.Struct):
    task_id: str = ""
    pool: str = "default_pool"
    outlets: list[Any] = msgspec.field(default_factory=list)
    people_query: Any = None
    objects_query: Any = None
    relationships_query: Any = None
    postgres_conn_id: Any = None
    customerio_conn_id: Any = None
    module: Any = msgspec.field(default=None, name="_task_module")


class _Task(msgspec.Struct):
    var: _TaskFields = msgspec.field(default_factory=_TaskFields, name="__var")


class _Timetable(msgspec.Struct):
    var: dict[str, Any] = msgspec.field(default_factory=dict, name="__var")


class _Dag(msgspec.Struct):
    doc_md: str | None = None
    timezone: Any = "UTC"
    timetable: _Timetable = msgspec.field(default_factory=_Timetable)
    tasks: list[_Task] = msgspec.field(default_factory=list)


class _Serialized(msgspec.Struct):
    dag: _Dag


_read_serialized = msgspec.json.Decoder(_Serialized).decode


def read_dags(session: Session, *, dag_id: str | None = None) -> list[SyncDag]:
    """Read the DAGs of syncs, also those of broken specs.

    The list has DAGs with the tag that the factory gives, and DAGs that update the asset of a sync.

    Args:
        session: A session of the metadata database.
        dag_id: Read this DAG only, whatever it does.
    """
    newest = (
        select(func.max(DagVersion.version_number))
        .where(DagVersion.dag_id == DagModel.dag_id)
        .correlate(DagModel)
        .scalar_subquery()
    )
    tags = (
        select(DagTag.dag_id, func.count().label("count"))
        .where(DagTag.name == SPEC_ERROR_TAG)
        .group_by(DagTag.dag_id)
        .subquery()
    )
    query = (
        select(
            DagModel.dag_id,
            DagModel.is_paused,
            DagModel.description,
            DagModel.timetable_summary,
            DagModel.timetable_description,
            DagModel.next_dagrun_create_after,
            DagModel.bundle_name,
            DagModel.relative_fileloc,
            tags.c.count.label("broken"),
            cast(SerializedDagModel._data, Text).label("data"),  # noqa: SLF001 - the property decodes it
            type_coerce(SerializedDagModel._data_compressed, LargeBinary).label("compressed"),  # noqa: SLF001
        )
        .outerjoin(tags, tags.c.dag_id == DagModel.dag_id)
        .outerjoin(
            DagVersion, and_(DagVersion.dag_id == DagModel.dag_id, DagVersion.version_number == newest)
        )
        .outerjoin(SerializedDagModel, SerializedDagModel.dag_version_id == DagVersion.id)
        .order_by(DagModel.dag_id)
    )
    if dag_id is None:
        query = query.where(~DagModel.is_stale, DagModel.dag_id.in_(ids_of_syncs()))
    else:
        query = query.where(DagModel.dag_id == dag_id)
    return [_dag(row) for row in session.execute(query)]


def ids_of_syncs() -> Select[Any]:
    """Select the ids of the DAGs of syncs."""
    tagged = select(DagTag.dag_id).where(DagTag.name == CUSTOMERIO_TAG)
    updates = (
        select(TaskOutletAssetReference.dag_id)
        .join(AssetModel, AssetModel.id == TaskOutletAssetReference.asset_id)
        .where(AssetModel.uri.like(f"{_ASSET_SCHEME}%"))
    )
    both = union(tagged, updates).subquery()
    return select(both.c.dag_id)


def _dag(row: Row[Any]) -> SyncDag:
    parsed = _parse_serialized(row.data, row.compressed)
    timezone = parsed.timetable.var.get("timezone") or parsed.timezone
    schedule = "" if row.timetable_summary in {None, "None"} else row.timetable_description
    return SyncDag(
        dag_id=row.dag_id,
        paused=row.is_paused,
        description=row.description or "",
        schedule=schedule or ("" if row.timetable_summary in {None, "None"} else row.timetable_summary),
        timezone=timezone if isinstance(timezone, str) else "",
        next_run=row.next_dagrun_create_after,
        file=(row.bundle_name, row.relative_fileloc or ""),
        tasks=tuple(_tasks(parsed)),
        error=_spec_error(parsed) if row.broken else None,
        mapped=any(task.var.module == _OPERATOR_MODULE for task in parsed.tasks),
    )


def _parse_serialized(text: str | None, compressed: bytes | None) -> _Dag:
    """Read the parts of a serialized DAG that the pages show; an unreadable DAG has none."""
    try:
        raw: str | bytes = zlib.decompress(compressed) if compressed else text or "{}"
        return _read_serialized(raw).dag
    except (msgspec.MsgspecError, ValueError, RecursionError, zlib.error):
        return _Dag()


def _tasks(dag: _Dag) -> Iterable[SyncTask]:
    for task in dag.tasks:
        fields = task.var
        workspace, sync = _sync_of(fields.outlets)
        if not sync:
            continue
        queries = {kind: getattr(fields, name) for kind, name in QUERIES.items()}
        ids = (fields.postgres_conn_id, fields.customerio_conn_id)
        yield SyncTask(
            task_id=fields.task_id,
            workspace=workspace,
            sync=sync,
            pool=fields.pool,
            queries={kind: query for kind, query in queries.items() if isinstance(query, str)},
            connections=tuple(each for each in ids if isinstance(each, str)),
        )


def _sync_of(outlets: list[Any]) -> tuple[str, str]:
    """Return workspace and sync of the asset that the operator adds as its first outlet."""
    first = outlets[0] if outlets and isinstance(outlets[0], dict) else {}
    asset = first.get("__var")
    uri = asset.get("uri") if isinstance(asset, dict) else None
    if not isinstance(uri, str) or not uri.startswith(_ASSET_SCHEME):
        return "", ""
    workspace, _, sync = uri.removeprefix(_ASSET_SCHEME).partition("/")
    return workspace, sync


def _spec_error(dag: _Dag) -> str:
    """Return what is wrong with a broken spec: the fenced text in the docs of its DAG."""
    found = _SPEC_ERROR.search(dag.doc_md or "")
    return (found[2] if found else "This spec cannot be used.")[:LONGEST_MESSAGE]
