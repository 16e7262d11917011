"""Reports for download, by users who may read the DAG.

A report is looked for in the folders of the DAG's own syncs, which are read from the DAG as the DAG processor
stored it. The XCom of the run gives the name of the file and nothing else: some roles may edit XComs.
"""

from __future__ import annotations

import itertools
from concurrent.futures import TimeoutError as NoAnswerError
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

from airflow.exceptions import TaskNotFound
from airflow.models import TaskInstance
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.plugin.access import AirflowId, may_read_dag
from airflow_provider_cio.reports.link import ReportLink
from airflow_provider_cio.reports.report import started_at
from airflow_provider_cio.state.names import asset_uri, is_name
from airflow_provider_cio.storage import REPORTS_URL, check_url, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

router = APIRouter()

_CHUNK_BYTES = 1_000_000
#: How long a download waits for the store: as long as a person waits for a page.
_OPEN_SECONDS = 30
#: A mapped task may have as many syncs; each costs a look into its folder.
_MOST_SYNCS = 100
_AirflowName = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]+$")]


@router.get("/reports/{dag_id}", dependencies=[Depends(may_read_dag)])
def report(
    dag_id: AirflowId,
    run_id: _AirflowName,
    task_id: _AirflowName,
    map_index: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
) -> StreamingResponse:
    """Give out the CSV of the rows that a run rejected."""
    sync, name, file = open_report(dag_id, run_id, task_id, map_index)

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    headers = {
        "Content-Disposition": f'attachment; filename="{sync}-{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(chunks(), media_type="text/csv; charset=utf-8", headers=headers)


def open_report(dag_id: str, run_id: str, task_id: str, map_index: int) -> tuple[str, str, BinaryIO]:
    """Open the report of a run.

    Args:
        dag_id: The DAG; the caller has checked that the user may read it.
        run_id: The run.
        task_id: The task that ran the sync.
        map_index: The index of a mapped task, else -1.

    Returns:
        The sync's name, the name of the report, and the CSV.

    Raises:
        HTTPException: There is no report, or its store does not answer.
    """
    with create_session() as session:
        name = _report_name(dag_id, run_id, task_id, map_index, session)
        syncs = _syncs(dag_id, run_id, task_id, map_index, session) if name else []
    if not name or not syncs:
        raise HTTPException(
            HTTPStatus.NOT_FOUND,
            "There is no report: no row of this run failed, or the run does not exist.",
        )
    sync, file = _open(syncs, name)
    return sync, name, file


def _open(syncs: list[tuple[str, str]], name: str) -> tuple[str, BinaryIO]:
    """Open the report in the first folder that has it."""
    worker = Worker("customerio-report")
    try:
        return worker.submit(_find, syncs, name).result(_OPEN_SECONDS)
    except ConfigurationError as error:
        raise HTTPException(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None
    except NoAnswerError:
        raise HTTPException(
            HTTPStatus.GATEWAY_TIMEOUT, "The store of reports does not answer. Try again later."
        ) from None
    except OSError:
        raise HTTPException(
            HTTPStatus.NOT_FOUND,
            "The report is not there: it was removed by age ([customerio] report_retention_days), or workers"
            " and API server do not share [customerio] reports_url.",
        ) from None
    finally:
        worker.close()


def _find(syncs: list[tuple[str, str]], name: str) -> tuple[str, BinaryIO]:
    url = check_url(REPORTS_URL)
    for workspace, sync in syncs[:_MOST_SYNCS]:
        try:
            return sync, open_folder(REPORTS_URL, url, workspace, sync).open(name)
        except FileNotFoundError:
            continue
    raise FileNotFoundError(name)


def _report_name(dag_id: str, run_id: str, task_id: str, map_index: int, session: Session) -> str | None:
    """Read the name of a run's report, which is nothing but the time at which the run started."""
    query = XComModel.get_many(
        key="summary", dag_ids=dag_id, run_id=run_id, task_ids=task_id, map_indexes=map_index, limit=1
    )
    found = session.scalars(query).first()
    try:
        summary = XComModel.deserialize_value(found) if found else None
    except Exception:  # noqa: BLE001 - the value of an edited XCom
        return None
    location = summary.get("report") if isinstance(summary, dict) else None
    name = location.rpartition("/")[2] if isinstance(location, str) else ""
    return name if started_at(name) else None


def _syncs(dag_id: str, run_id: str, task_id: str, map_index: int, session: Session) -> list[tuple[str, str]]:
    """Find out which syncs a task may run, each as workspace and name, from the DAG as it was at the run."""
    run = select(TaskInstance).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == map_index,
    )
    found = session.scalar(run)
    if not found:
        return []
    serialized = found.dag_version.serialized_dag if found.dag_version else None
    serialized = serialized or SerializedDagModel.get(dag_id, session=session)
    try:
        task = serialized.dag.get_task(task_id) if serialized else None
    except TaskNotFound:
        return []
    if not task or ReportLink.name not in task.extra_links:
        return []
    syncs = _mapped(task) if task.is_mapped else _of_asset(task)
    return [(workspace, sync) for workspace, sync in syncs if is_name(workspace) and is_name(sync)]


def _of_asset(task: Any) -> list[tuple[str, str]]:
    """Read a sync from the asset that the operator adds as its first outlet."""
    uri = task.outlets[0].uri if task.outlets else ""
    workspace, _, sync = uri.removeprefix(asset_uri("", "")[:-1]).partition("/")
    return [(workspace, sync)] if uri == asset_uri(workspace, sync) else []


def _mapped(task: Any) -> list[tuple[str, str]]:
    """Read the syncs of a mapped task from the values in the DAG's file; those of other tasks are unknown."""
    expanded = getattr(task.expand_input, "value", None)
    given: dict[str, list[Any]] = {}
    for name in ("workspace", "sync_name"):
        if name in task.partial_kwargs:
            given[name] = [task.partial_kwargs[name]]
        elif isinstance(expanded, dict) and isinstance(expanded.get(name), list | tuple):
            given[name] = list(expanded[name])
        elif isinstance(expanded, list | tuple):
            given[name] = [each[name] for each in expanded if isinstance(each, dict) and name in each]
    return [
        (workspace, sync)
        for workspace, sync in itertools.product(given.get("workspace", []), given.get("sync_name", []))
        if isinstance(workspace, str) and isinstance(sync, str)
    ]
