"""A folder of specs becomes DAGs, one for each spec."""

from __future__ import annotations

import datetime as dt
import logging
import re
import zoneinfo
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    DAG,
    Asset,
    CronTriggerTimetable,
    MultipleCronTriggerTimetable,
    Param,
    get_parsing_context,
)
from airflow.utils.types import DagRunType

from airflow_provider_cio.dag_factory.broken_specs import (
    CUSTOMERIO_TAG,
    SPEC_ERROR_TAG,
    broken_dag,
    broken_dag_id,
)
from airflow_provider_cio.dag_factory.docs import documentation
from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.queries import QUERY_ARGUMENTS
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator
from airflow_provider_cio.specs import SpecFolder
from airflow_provider_cio.specs.problems import SpecError, describe_unexpected, printable
from airflow_provider_cio.state.names import pool_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from airflow_provider_cio.specs.model import SyncSpec

log = logging.getLogger(__name__)

#: The params with which a person triggers a run: title and description.
_PARAMS = {
    "full_refresh": (
        "Full refresh",
        "Use the last sync time 0 for this run, so that every row is sent again.",
    ),
    "dry_run": (
        "Dry run",
        "Read and check every row, but send nothing and keep the last sync time.",
    ),
}

#: All types of runs but backfills: each run of a backfill would send the same changes, those since the last
#: sync time.
_RUN_TYPES = [run_type.value for run_type in DagRunType if run_type is not DagRunType.BACKFILL_JOB]


def build_dags(folder: Path) -> dict[str, DAG]:
    """Build a DAG for every spec in a folder.

    A spec that cannot be used becomes a DAG with the tag ``spec-error``, which displays the mistakes. It does
    not affect other DAGs. A worker builds only the DAG that it is about to run, and reads only its spec.

    Args:
        folder: The folder with the specs. The folders in it are searched too.

    Returns:
        The DAGs by their ids, for ``globals().update``.

    Raises:
        ConfigurationError: The folder does not exist. Airflow displays this as an import error.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"The folder {folder} does not exist: give build_dags the folder with the specs"
        )
    specs = SpecFolder(folder)
    if wanted := get_parsing_context().dag_id:
        for paths in _likely_paths(specs, wanted):
            found = _build_dags(specs, paths).get(wanted)
            if found and SPEC_ERROR_TAG not in found.tags:
                return {wanted: found}
    return _build_dags(specs, specs.paths())


def build_dag(spec: SyncSpec) -> DAG:
    """Build the DAG of one spec."""
    kind = "people" if spec.people else "objects"
    dag = DAG(
        spec.dag_id,
        description=spec.description,
        schedule=_schedule(spec),
        start_date=_midnight(spec),
        catchup=False,
        max_active_runs=1,
        allowed_run_types=_RUN_TYPES,
        max_consecutive_failed_dag_runs=spec.max_consecutive_failed_dag_runs,
        tags={CUSTOMERIO_TAG, spec.workspace, kind, *spec.tags},
        owner_links=dict(spec.owner_links),
        doc_md=documentation(spec),
    )
    CustomerIOSyncOperator(
        task_id="sync",
        dag=dag,
        workspace=spec.workspace,
        sync_name=spec.name,
        **_queries(spec),
        create=spec.create,
        guards=spec.guards.model_dump(exclude_none=True) if spec.guards else None,
        nulls=spec.nulls,
        failed_rows=spec.failed_rows,
        timestamps=spec.timestamps,
        postgres_conn_id=spec.postgres_conn_id,
        customerio_conn_id=spec.connection,
        overlap=_seconds(spec.overlap) if spec.overlap else None,
        max_lookback=_seconds(spec.max_lookback),
        statement_timeout=_seconds(spec.statement_timeout) if spec.statement_timeout else None,
        execution_timeout=spec.execution_timeout,
        pool=pool_name(spec.workspace),
        **_retries(spec),
        owner=spec.owner,
        on_success_callback=[notifier.make() for notifier in spec.on_success],
        on_failure_callback=[notifier.make() for notifier in spec.on_failure],
        on_skipped_callback=[notifier.make() for notifier in spec.on_skipped],
    )
    # Added last. Earlier, Airflow would validate and copy the params, which takes longer than the rest.
    for name, (title, description) in _PARAMS.items():
        dag.params[name] = Param(default=False, type="boolean", title=title, description=description)
    return dag


def _likely_paths(specs: SpecFolder, wanted: str) -> Iterator[list[Path]]:
    """Yield the files that may define a DAG: first those named like its sync, then those with its name."""
    paths, sync_name = specs.paths(), wanted.rpartition(".")[2]
    yield [path for path in paths if path.stem == sync_name]
    has_name = re.compile(rf"^name:.*\b{sync_name}\b", re.MULTILINE).search
    yield [path for path in paths if has_name(specs.text(path))]


def _build_dags(specs: SpecFolder, paths: Sequence[Path]) -> dict[str, DAG]:
    """Build the DAGs of some specs. A broken spec never takes the id of a valid one."""
    dags: dict[str, DAG] = {}
    loaded, errors = specs.load_all(paths)
    for path, spec in loaded.items():
        try:
            dags[spec.dag_id] = build_dag(spec)
        except Exception as error:  # noqa: BLE001 - one broken spec must not stop the others
            errors[path] = error
    for path, found in errors.items():
        message = (
            str(found)
            if isinstance(found, SpecError)
            else f"{printable(str(path))}: {describe_unexpected(found)}"
        )
        if specs.root.is_absolute():
            # Strip the checkout path: it is noise in an error message.
            message = message.replace(f"{specs.root.parent}/", "")
        if not get_parsing_context().dag_id:  # a worker logs only the errors of its own DAG
            log.error("%s", message)
        broken = broken_dag(broken_dag_id(specs.names(path), path.relative_to(specs.root), dags), message)
        dags[broken.dag_id] = broken
    return dags


def _schedule(spec: SyncSpec) -> CronTriggerTimetable | MultipleCronTriggerTimetable | list[Asset] | None:
    match spec.crons:
        case [cron]:
            return CronTriggerTimetable(cron, timezone=spec.timezone)
        case [_, *_]:
            return MultipleCronTriggerTimetable(*spec.crons, timezone=spec.timezone)
    return [Asset(uri=uri) for uri in spec.schedule.assets] if spec.schedule else None


def _midnight(spec: SyncSpec) -> dt.datetime | None:
    if not spec.start_date:
        return None
    return dt.datetime.combine(spec.start_date, dt.time(), zoneinfo.ZoneInfo(spec.timezone))


def _seconds(duration: dt.timedelta) -> int:
    return int(duration.total_seconds())


def _retries(spec: SyncSpec) -> dict[str, Any]:
    """Return the operator's arguments for retries. Without a delay, Airflow's configuration applies."""
    delay = {"retry_delay": spec.retry_delay} if spec.retry_delay else {}
    return {"retries": spec.retries, **delay}


def _queries(spec: SyncSpec) -> dict[str, Any]:
    """Return the operator's arguments for the queries of a spec."""
    arguments: dict[str, Any] = {}
    for query in QUERY_ARGUMENTS:
        if part := getattr(spec, query.kind.name):
            arguments |= query.from_spec(part)
    if spec.people and (segment := spec.people.segment):
        arguments |= {"segment_id": segment.id, "segment_name": segment.name}
    return arguments
