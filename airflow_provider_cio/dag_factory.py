"""From specs to DAGs: all that a user writes in Python is one call.

::

    globals().update(build_dags(Path(__file__).parent / "syncs"))
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, Param, get_parsing_context
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_cio.errors import SpecError
from airflow_provider_cio.naming import dag_id, pool_name
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator
from airflow_provider_cio.specs import SyncSpec, find_specs, load_spec

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context

log = logging.getLogger(__name__)

_PARAMS = {
    "full_refresh": (
        "Full refresh",
        "Run once with last sync time 0, so that every row is sent again.",
    ),
    "dry_run": (
        "Dry run",
        "Read and check every row, but send nothing and leave the last sync time where it is.",
    ),
}


def build_dags(folder: Path) -> dict[str, DAG]:
    """Build a DAG for every spec in a folder.

    A spec that cannot be used becomes a DAG tagged ``spec-error`` that tells why; other DAGs are not touched.
    In a worker only the DAG that is about to run is built.

    Args:
        folder: Where the specs are; folders in it are searched, too.

    Returns:
        DAGs by their id, for ``globals().update``.
    """
    wanted = get_parsing_context().dag_id
    dags: dict[str, DAG] = {}
    for path in find_specs(folder):
        try:
            spec = load_spec(path)
            name = dag_id(spec.workspace, spec.name)
            if name in dags:
                fault = f"another spec of the workspace {spec.workspace} is named {spec.name}, too"
                raise SpecError(path, [(1, fault)])  # noqa: TRY301 - it is handled like the others
            if wanted in (None, name):
                dags[name] = build_dag(spec)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one spec, the others shall run
            message = (
                str(error) if isinstance(error, SpecError) else f"{path}: {type(error).__name__}: {error}"
            )
            log.error("%s", message)  # noqa: TRY400 - the message says it all
            broken = _broken(path.relative_to(folder), message)
            dags[broken.dag_id] = broken
    return dags


def build_dag(spec: SyncSpec) -> DAG:
    """Build the DAG of one spec."""
    dag = DAG(
        dag_id(spec.workspace, spec.name),
        description=spec.description,
        schedule=spec.schedule,
        start_date=_midnight(spec.start_date),
        catchup=False,
        max_active_runs=1,
        tags={"customerio", spec.workspace, "people" if spec.people else "objects", *spec.tags},
        params={
            key: Param(default=False, type="boolean", title=title, description=description)
            for key, (title, description) in _PARAMS.items()
        },
        doc_md=_documentation(spec),
    )
    CustomerIOSyncOperator(
        task_id="sync",
        dag=dag,
        workspace=spec.workspace,
        sync=spec.name,
        **_queries(spec),
        nulls=spec.nulls,
        timestamps=spec.timestamps,
        postgres_conn_id=spec.postgres_conn_id,
        customerio_conn_id=spec.connection(),
        overlap=int(spec.overlap.total_seconds()),
        max_lookback=int(spec.max_lookback.total_seconds()),
        pool=pool_name(spec.workspace),
        retries=spec.retries,
        owner=spec.owner,
    )
    return dag


def _midnight(day: dt.date | None) -> dt.datetime | None:
    return dt.datetime.combine(day, dt.time(), dt.UTC) if day else None


def _queries(spec: SyncSpec) -> dict[str, Any]:
    """Say which queries there are, in the operator's words."""
    arguments: dict[str, Any] = {}
    if spec.people:
        arguments |= {"people_query": spec.people.query, "identify_by": spec.people.identify_by}
        if spec.people.segment:
            segment = spec.people.segment
            arguments |= {"segment_id": segment.id, "segment_name": segment.name}
    if spec.objects:
        arguments |= {"objects_query": spec.objects.query, "object_type_id": spec.objects.object_type_id}
    if spec.relationships:
        arguments |= {
            "relationships_query": spec.relationships.query,
            "relationships_identify_by": spec.relationships.identify_by,
            "relationships_object_type_id": spec.relationships.object_type_id,
        }
    return arguments


def _documentation(spec: SyncSpec) -> str:
    parts = {"people": spec.people, "objects": spec.objects, "relationships": spec.relationships}
    queries = "\n".join(
        f"**{name}**\n\n```sql\n{part.query.strip()}\n```\n" for name, part in parts.items() if part
    )
    route = f"From `{spec.postgres_conn_id}` into the workspace **{spec.workspace}**."
    return f"{spec.description}\n\n{route}\n\n{queries}"


class _BrokenSpecOperator(BaseOperator):
    """Fails with what is wrong with a spec.

    Args:
        error: The message.
    """

    def __init__(self, *, error: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow passes it
        """Fail."""
        raise AirflowFailException(self.error)


def _broken(path: Path, error: str) -> DAG:
    """Build a DAG that keeps a broken spec in sight, under an id that no other spec can have."""
    dag = DAG(
        f"customerio_spec_error.{re.sub(r'[^A-Za-z0-9_.-]', '.', str(path.with_suffix('')))}",
        schedule=None,
        tags={"customerio", "spec-error"},
        doc_md=f"**This spec cannot be used.** Correct it, and its DAG comes back.\n\n```\n{error}\n```\n",
    )
    _BrokenSpecOperator(task_id="sync", dag=dag, error=error)
    return dag
