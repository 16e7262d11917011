"""The pages: the list of syncs, the imports of a sync, one run, and help. They only read."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse  # noqa: TC002 - FastAPI reads annotations

from airflow_provider_cio.plugin import metadata, permissions
from airflow_provider_cio.plugin.access import AirflowId, logged_in, may_read_dag
from airflow_provider_cio.plugin.advice import ADVICE, OTHER
from airflow_provider_cio.plugin.charts import bar_chart
from airflow_provider_cio.plugin.outcomes import explain, view_run
from airflow_provider_cio.plugin.rejections import Rejections, read_rejections
from airflow_provider_cio.plugin.rendering import page
from airflow_provider_cio.plugin.reports import open_report
from airflow_provider_cio.plugin.sync_list import LastSync, last_sync, list_syncs
from airflow_provider_cio.state.names import LAST_SYNC_TIME_DESCRIPTION, last_sync_time_key

if TYPE_CHECKING:
    from airflow_provider_cio.plugin.metadata import Instance, SyncDag
    from airflow_provider_cio.plugin.outcomes import RunView

router = APIRouter()

#: Runs on one page of imports: about a day of a sync that runs every half hour.
_RUNS_ON_PAGE = 50
#: A chart of few runs has room for this many, so that its bars do not become blocks.
_SLOTS = 20
_User = Annotated[BaseUser, Depends(logged_in)]
_RunId = Annotated[str, Path(max_length=250, pattern=r"^[^\x00]+$")]
_Search = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


def may_read_runs(dag_id: AirflowId, request: Request, user: _User) -> None:
    """Refuse users who may not read the DAG, or its runs, with 403."""
    may_read_dag(dag_id, request, user)
    requires_access_dag("GET", DagAccessEntity.RUN)(request, user)


@router.get("/syncs")
def syncs(user: _User, search: _Search = "", workspace: _Search = "", status: _Search = "") -> HTMLResponse:
    """Show every sync that the user may read, by workspace."""
    readable = permissions.readable_dags(user)
    with create_session() as session:
        listed = list_syncs(
            session, readable, import_errors=permissions.may_read_import_errors(user), now=_now()
        )
    return page(
        "syncs.html",
        listed=listed,
        now=_now(),
        search=search,
        chosen_workspace=workspace,
        chosen_status=status,
        refresh=_refresh_seconds(),
    )


@router.get("/dags/{dag_id}", dependencies=[Depends(may_read_runs)])
def imports(
    dag_id: AirflowId, user: _User, before: Annotated[int | None, Query(ge=1, lt=2**31)] = None
) -> HTMLResponse:
    """Show the runs of a sync, newest first."""
    now = _now()
    with create_session() as session:
        dag = _find_dag(session, dag_id)
        if dag is None:
            return _not_a_sync(dag_id)
        runs = metadata.read_runs(session, dag_id, limit=_RUNS_ON_PAGE + 1, before=before)
        unfinished = metadata.read_unfinished(session, [dag_id])
        progress = metadata.read_progress(session, [dag_id])
        last = _last_sync(session, dag)
        pools = metadata.read_missing_pools(session, {task.pool for task in dag.tasks})
    older = runs[_RUNS_ON_PAGE - 1].id if len(runs) > _RUNS_ON_PAGE else None
    views = [
        view_run(run, unfinished.get((dag_id, run.run_id), []), progress.get((dag_id, run.run_id)), now)
        for run in runs[:_RUNS_ON_PAGE]
    ]
    oldest_first = views[::-1]
    slots = max(len(views), _SLOTS)
    return page(
        "imports.html",
        dag=dag,
        views=views,
        explain=explain,
        kinds=_kinds(dag, views),
        rows_chart=bar_chart(oldest_first, [float(view.read) for view in oldest_first], slots=slots),
        time_chart=bar_chart(oldest_first, [view.seconds or 0.0 for view in oldest_first], slots=slots),
        last=last,
        variable=_variable(dag),
        variable_description=LAST_SYNC_TIME_DESCRIPTION,
        missing_pools=sorted(pools),
        may=permissions.permissions(user, dag_id, _variable(dag)),
        now=now,
        before=before,
        older=older,
        active=any(view.run.active for view in views),
        refresh=_refresh_seconds(),
    )


@router.get("/dags/{dag_id}/runs/{run_id:path}", dependencies=[Depends(may_read_runs)])
def run(dag_id: AirflowId, run_id: _RunId, user: _User, search: _Search = "") -> HTMLResponse:
    """Show a run: its summary, its queries and its rejected rows."""
    now = _now()
    with create_session() as session:
        dag = _find_dag(session, dag_id)
        if dag is None:
            return _not_a_sync(dag_id)
        found = metadata.read_runs(session, dag_id, limit=1, run_id=run_id)
        if not found:
            raise HTTPException(HTTPStatus.NOT_FOUND, "The run does not exist. It may have been deleted.")
        instances = metadata.read_instances(session, dag_id, run_id)
        progress = metadata.read_progress(session, [dag_id]) if found[0].active else {}
        may = permissions.permissions(user, dag_id, _variable(dag))
        queries = metadata.read_rendered_queries(session, dag_id, run_id) if may.queries else {}
    view = view_run(found[0], instances, progress.get((dag_id, run_id)), now)
    return page(
        "run.html",
        dag=dag,
        view=view,
        explanation=explain(view),
        syncs=[
            _sync_of_run(view, instance, queries, search) for instance in _with_sync(dag, view, instances)
        ],
        may=may,
        now=now,
        search=search,
        active=view.run.active,
        refresh=_refresh_seconds(),
    )


@router.get("/help")
def help_page() -> HTMLResponse:
    """Explain statuses and reasons."""
    return page("help.html", advice=(*ADVICE, OTHER))


def _find_dag(session: Any, dag_id: str) -> SyncDag | None:
    """Return the DAG if it runs syncs. A DAG whose spec was removed keeps its runs."""
    return next((dag for dag in metadata.read_dags(session, dag_id=dag_id) if dag.ours), None)


def _not_a_sync(dag_id: str) -> HTMLResponse:
    return page(
        "message.html",
        title="Not a Customer.io sync",
        message=f"{dag_id} imports nothing into Customer.io. This tab is for DAGs that do.",
    )


def _variable(dag: SyncDag) -> str | None:
    """Return the key of the last sync time; None if the DAG has several syncs, or none."""
    if len(dag.tasks) != 1:
        return None
    return last_sync_time_key(dag.tasks[0].workspace, dag.tasks[0].sync)


def _last_sync(session: Any, dag: SyncDag) -> LastSync | None:
    key = _variable(dag)
    return last_sync(metadata.read_variables(session, [key]).get(key)) if key else None


def _kinds(dag: SyncDag, views: list[RunView]) -> list[str]:
    """Return the kinds of queries, each of which gets a column."""
    found = [kind for task in dag.tasks for kind in task.queries]
    found += [kind for view in views for kind in view.queries]
    return list(dict.fromkeys(found))


def _with_sync(dag: SyncDag, view: RunView, instances: list[Instance]) -> list[Instance]:
    """Return the task instances that run syncs."""
    ids = {task.task_id for task in dag.tasks} | {task_id for task_id, _ in view.run.summaries}
    return [instance for instance in instances if instance.task_id in ids or not ids]


def _sync_of_run(
    view: RunView, instance: Instance, queries: dict[tuple[str, int], dict[str, str]], search: str
) -> dict[str, Any]:
    """Return what the page shows of one task instance."""
    key = instance.task_id, instance.map_index
    summary = view.run.summaries.get(key)
    problem, rejections = "", Rejections()
    if summary and summary.report and not view.run.active:
        try:
            _, _, file = open_report(view.run.dag_id, view.run.run_id, *key)
            with file:
                rejections = read_rejections(file, search)
        except HTTPException as error:
            problem = str(error.detail)
        except OSError:
            problem = "The report cannot be read from its store. Try again later."
    return {
        "instance": instance,
        "summary": summary,
        "queries": queries.get(key, {}),
        "rejections": rejections,
        "problem": problem,
    }


def _refresh_seconds() -> int:
    return max(conf.getint("api", "auto_refresh_interval", fallback=3), 1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
