"""Reports for download, by users who may read the DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.xcom import XComModel
from airflow.sdk import ObjectStoragePath
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.responses import StreamingResponse

from airflow_provider_cio.reports import reports_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

router = APIRouter()

_CHUNK_BYTES = 1_000_000


@router.get("/reports/{dag_id}", dependencies=[Depends(requires_access_dag("GET"))])
def report(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> StreamingResponse:
    """Give out the CSV of the rows that a run rejected."""
    path = _location(dag_id, run_id, task_id, map_index)
    if not path:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            "There is no report: no row of this run failed, or there is no such run.",
        )
    try:
        file = path.fs.open(path.path, "rb")
    except OSError:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            "The report is not there: it was removed by age ([customerio] report_retention_days), or workers"
            " and API server do not share [customerio] reports_url.",
        ) from None

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    headers = {
        "Content-Disposition": f'attachment; filename="{path.parent.name}-{path.name}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(chunks(), media_type="text/csv; charset=utf-8", headers=headers)


def _location(dag_id: str, run_id: str, task_id: str, map_index: int) -> ObjectStoragePath | None:
    """Find where a run left its report, and nothing outside the folder of reports."""
    query = XComModel.get_many(
        key="summary", dag_ids=dag_id, run_id=run_id, task_ids=task_id, map_indexes=map_index, limit=1
    )
    with create_session() as session:
        found = session.scalars(query).first()
        summary = XComModel.deserialize_value(found) if found else None
    location = summary.get("report") if isinstance(summary, dict) else None
    if not isinstance(location, str):
        return None
    path, folder = ObjectStoragePath(location), reports_folder()
    inside = path.parent.parent.parent == folder and ".." not in path.parts and path.suffix == ".csv"
    return path if inside else None
