"""A sync as an Airflow task: it turns a context into parameters, and an outcome into a state."""

from __future__ import annotations

import dataclasses
import datetime as dt
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import Asset, BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
)

from airflow_provider_cio.engine import (
    Counts,
    ObjectsQuery,
    PeopleQuery,
    ReadBack,
    RelationshipsQuery,
    Source,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.dry_run import DryRun
from airflow_provider_cio.engine.preview import Preview, preview
from airflow_provider_cio.engine.segment import find_segment
from airflow_provider_cio.engine.sources.watermark import DEFAULT_MAX_LOOKBACK
from airflow_provider_cio.errors import ConfigurationError, SyncError
from airflow_provider_cio.hooks.customerio import CustomerIOHook, read_seconds
from airflow_provider_cio.naming import asset_uri, connection_id, pool_name
from airflow_provider_cio.operators.lineage import lineage
from airflow_provider_cio.reports import Report
from airflow_provider_cio.state import LastSyncTime, Window, Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_cio.engine.queries import Identifier, Nulls, Timestamps
    from airflow_provider_cio.track import AppClient
    from airflow_provider_cio.track.http import HttpClient


class ReportLink(BaseOperatorLink):
    """A link to the run's report; none when no row failed."""

    name = "Failed rows"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow passes it
        """Say where the report is; called where the task ran, at its end."""
        return cast("CustomerIOSyncOperator", operator).report_url


class CustomerIOSyncOperator(BaseOperator):
    """Import people or objects, and their relationships, from queries into a Customer.io workspace.

    The queries are templates: ``{{ last_sync_time }}`` is where the last Completed run began to look, in Unix
    seconds, and 0 before there was one. Params of the DAG are honoured when they are there: ``full_refresh``
    uses 0 once, ``dry_run`` reads and checks everything, sends nothing and moves nothing.

    The result, also as XCom ``summary`` and then also of a run that failed, is that of `Summary.as_dict`;
    templates of callbacks know it as ``summary``. A run that Completed updates the asset
    ``customerio://<workspace>/<sync>``.

    Args:
        workspace: The workspace's name; its syncs share a pool of one slot.
        sync: The sync's name, unique in its workspace; the last sync time is kept under it.
        people_query: One SELECT, or the name of a ``.sql`` file; templated. Give this or ``objects_query``.
        identify_by: ``id`` or ``email``; by default id, and email where a row's id is NULL.
        objects_query: The same for objects, named by ``object_id``.
        object_type_id: The type of the objects.
        segment_id: The manual segment to which imported people are added, or
        segment_name: its name; it is created when there is none. The connection then needs an App API key.
        relationships_query: The same for relationships of people and objects.
        relationships_identify_by: Whether its people are named by ``id`` or ``email``.
        relationships_object_type_id: The type of its objects; ``object_type_id`` when it is not given.
        nulls: ``remove`` an attribute that is NULL, or ``skip`` it.
        timestamps: Dates and times as ``unix`` seconds or ``iso`` text.
        postgres_conn_id: The source.
        customerio_conn_id: The workspace; ``customerio_<workspace>`` when it is not given.
        overlap: Seconds that are always subtracted from the next last sync time; when it is not given, 60
            seconds are subtracted only where the source hides when transactions began.
        max_lookback: Seconds to look back at most for a long transaction.
        statement_timeout: Seconds that Postgres may take for the next rows; by default what the server says.
    """

    template_fields: Sequence[str] = ("people_query", "objects_query", "relationships_query")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = dict.fromkeys(template_fields, "sql")
    ui_color = "#e3e0fb"

    operator_extra_links = (ReportLink(),)
    report_url = ""

    _last_sync_time = 0
    _stored_sync_time = 0
    _stoppable: Sequence[Source | HttpClient] = ()

    def __init__(
        self,
        *,
        workspace: str,
        sync: str,
        people_query: str | None = None,
        identify_by: Identifier | None = None,
        objects_query: str | None = None,
        object_type_id: str | None = None,
        segment_id: int | None = None,
        segment_name: str | None = None,
        relationships_query: str | None = None,
        relationships_identify_by: Identifier = "id",
        relationships_object_type_id: str | None = None,
        nulls: Nulls = "remove",
        timestamps: Timestamps = "unix",
        postgres_conn_id: str = "postgres_default",
        customerio_conn_id: str | None = None,
        overlap: int | None = None,
        max_lookback: int = DEFAULT_MAX_LOOKBACK,
        statement_timeout: int | None = None,
        **kwargs: Any,
    ) -> None:
        asset = Asset(uri=asset_uri(workspace, sync))
        outlets = [asset, *kwargs.pop("outlets", ())]
        super().__init__(**{"pool": pool_name(workspace), **kwargs}, outlets=outlets)
        self.workspace = workspace
        self.sync = sync
        self.people_query = people_query
        self.identify_by = identify_by
        self.objects_query = objects_query
        self.object_type_id = object_type_id
        self.segment_id = segment_id
        self.segment_name = segment_name
        self.relationships_query = relationships_query
        self.relationships_identify_by = relationships_identify_by
        self.relationships_object_type_id = relationships_object_type_id or object_type_id
        self.nulls = nulls
        self.timestamps = timestamps
        self.postgres_conn_id = postgres_conn_id
        self.customerio_conn_id = customerio_conn_id or connection_id(workspace)
        self.overlap = overlap
        self.max_lookback = max_lookback
        self.statement_timeout = statement_timeout

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the queries with the last sync time; from now on callbacks have a summary."""
        context["summary"] = self._outcome(self._new_summary())  # type: ignore[typeddict-unknown-key] # for callbacks
        try:
            self._stored_sync_time = LastSyncTime(self.workspace, self.sync).read()
        except ConfigurationError as error:
            raise AirflowFailException(str(error)) from None
        self._last_sync_time = 0 if context["params"].get("full_refresh", False) else self._stored_sync_time
        context["last_sync_time"] = self._last_sync_time  # type: ignore[typeddict-unknown-key]
        super().render_template_fields(context, jinja_env)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the sync; store the next last sync time when it Completed."""
        dry_run = context["params"].get("dry_run", False)
        summary = self._new_summary(dry_run=dry_run)
        if dry_run:
            self.log.info("A dry run: nothing is sent, and the last sync time stays where it is")
        else:
            self._skip_when_busy(context, summary)
        report = Report(self.workspace, self.sync, summary.started_at)
        try:
            self._run(summary, report)
        except (ConfigurationError, AirflowNotFoundException) as error:
            raise AirflowFailException(str(error)) from None
        except SyncError as error:
            raise AirflowException(str(error)) from None
        finally:
            report.close()
            outcome = self._tell(context, summary, report)
            if not dry_run:
                end = dt.datetime.now(dt.UTC)
                Windows(self.workspace).add(Window(self.sync, _due(context), summary.started_at, end))
        if summary.status is Status.SOME_ROWS_FAILED:
            raise AirflowFailException(
                f"{summary.rows_failed} of {summary.rows_read} rows failed; the last sync time stays"
                f" {self._stored_sync_time}. Correct the rows, then run again."
            )
        if dry_run:
            context["ti"].task.outlets = []  # nothing was updated
        else:
            context["outlet_events"][self.outlets[0]].extra = outcome
            LastSyncTime(self.workspace, self.sync).store(
                summary.next_last_sync_time, before=self._stored_sync_time
            )
        return outcome

    def get_openlineage_facets_on_complete(
        self,
        task_instance: RuntimeTaskInstance,  # noqa: ARG002 - the provider passes it
    ) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage which tables were read, and which workspace was written to."""
        queries = [query.sql for query in self._sync().queries]
        found = lineage(queries, self.postgres_conn_id, self.workspace, self.sync)
        if not self.outlets:
            found.outputs = []  # a dry run has written nothing
        return found

    def on_kill(self) -> None:
        """End the run: no request waits any longer, and Postgres computes no more rows."""
        for part in self._stoppable:
            part.stop()

    def _skip_when_busy(self, context: Context, summary: Summary) -> None:
        """Skip a scheduled run that became due while a sync of the workspace was running."""
        if context["dag_run"].run_type != "scheduled" or context["ti"].try_number > 1:
            return
        due = _due(context)
        busy = Windows(self.workspace).covering(due)
        if not busy:
            return
        summary.status = Status.SKIPPED
        summary.finished_at = summary.started_at
        self._leave(context, self._outcome(summary))
        reason = (
            f"{Status.SKIPPED}: at {due:%H:%M:%S} {busy.sync} was importing into the workspace"
            f" ({busy.start:%H:%M:%S} to {busy.end:%H:%M:%S} UTC). The next interval tries again."
        )
        self.log.info(reason)  # Airflow's own line hides it in a field
        raise AirflowSkipException(reason)

    def preview(self) -> list[Preview]:
        """Look at the first rows of the queries, which have been rendered, and send nothing.

        Raises:
            SyncError: They cannot be read.
        """
        return preview(self._sync(), self._source())

    def _source(self) -> Source:
        return Source(
            self._connect_source,
            overlap=self.overlap,
            max_lookback=self.max_lookback,
            statement_timeout=self.statement_timeout,
            timestamps=self.timestamps,
        )

    def _sync(self) -> Sync:
        return Sync(main=self._main(), relationships=self._relationships(), nulls=self.nulls)

    def _run(self, summary: Summary, report: Report) -> None:
        source, sync = self._source(), self._sync()
        if summary.dry_run:
            self._stoppable = [source]
            run_sync(sync, source, DryRun(), report, summary)
            return
        hook = CustomerIOHook(self.customerio_conn_id)
        with hook.get_conn() as workspace, hook.get_app_client() or nullcontext() as app:
            self._stoppable = [part for part in (workspace, app, source) if part]
            if app:
                read_back = ReadBack(app, read_seconds("apply_wait"))
            else:
                read_back = None
                self.log.info(
                    "The connection has no app_api_key: changes that Customer.io accepts and then drops, such"
                    " as an address that belongs to somebody else, cannot be seen and count as imported"
                )
            sync = dataclasses.replace(sync, segment=self._segment(app))
            run_sync(sync, source, workspace, report, summary, read_back=read_back)

    def _segment(self, app: AppClient | None) -> int | None:
        """Find the segment, and create it when none has its name."""
        if self.segment_id is None and self.segment_name is None:
            return None
        if app:
            return find_segment(app, number=self.segment_id, name=self.segment_name)
        if self.segment_id is None:
            raise ConfigurationError(
                f"To find a segment by its name, the connection {self.customerio_conn_id} needs app_api_key;"
                " without one, give the segment's id"
            )
        return self.segment_id

    def _main(self) -> PeopleQuery | ObjectsQuery:
        if self.people_query and not self.objects_query:
            return PeopleQuery(sql=self.people_query, identify_by=self.identify_by)
        if self.objects_query and self.object_type_id and not self.people_query:
            return ObjectsQuery(sql=self.objects_query, object_type_id=self.object_type_id)
        raise ConfigurationError("Give people_query, or objects_query with object_type_id, and not both")

    def _relationships(self) -> RelationshipsQuery | None:
        if not self.relationships_query:
            return None
        if not self.relationships_object_type_id:
            raise ConfigurationError("Give relationships_object_type_id: relationships_query needs one")
        return RelationshipsQuery(
            sql=self.relationships_query,
            object_type_id=self.relationships_object_type_id,
            identify_by=self.relationships_identify_by,
        )

    def _connect_source(self) -> psycopg.Connection[Any]:
        try:
            connection = PostgresHook(self.postgres_conn_id, log_sql=False).get_conn()
        except psycopg.ProgrammingError as error:  # such as an extra that libpq does not know
            raise ConfigurationError(f"The connection {self.postgres_conn_id}: {error}") from None
        if not isinstance(connection, psycopg.Connection):
            raise ConfigurationError(
                "Airflow's PostgresHook uses psycopg2 here; install psycopg 3 and SQLAlchemy 2"
            )
        return connection

    def _tell(self, context: Context, summary: Summary, report: Report) -> dict[str, Any]:
        """Leave the summary where people and other tasks look for it."""
        self.report_url = _report_url(context) if report.location else ""
        outcome = self._outcome(summary, report.location)
        self._leave(context, outcome)
        for line in summary.lines():
            self.log.info(line)
        if report.location:
            self.log.info("All rejected rows: %s (%s)", self.report_url, report.location)
        return outcome

    def _new_summary(self, *, dry_run: bool = False) -> Summary:
        """Begin a summary; it has every query from the start, so that templates of callbacks find theirs."""
        queries = {
            "people": self.people_query,
            "objects": self.objects_query,
            "relationships": self.relationships_query,
        }
        counts = {name: Counts() for name, query in queries.items() if query}
        return Summary(self._last_sync_time, self._stored_sync_time, dry_run=dry_run, queries=counts)

    def _outcome(self, summary: Summary, report: str | None = None) -> dict[str, Any]:
        return {**summary.as_dict(), "report": report, "report_url": self.report_url or None}

    def _leave(self, context: Context, outcome: dict[str, Any]) -> None:
        """Leave a summary to other tasks and to the callbacks of this one."""
        context["ti"].xcom_push("summary", outcome)
        context["summary"] = outcome  # type: ignore[typeddict-unknown-key]


def _due(context: Context) -> dt.datetime:
    """Say when a run was due: at the end of its interval, or when somebody triggered it."""
    return context["dag_run"].run_after


def _report_url(context: Context) -> str:
    """Say where the API server gives out a run's report."""
    ti = context["ti"]
    query = urlencode({"run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index})
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/customerio/reports/{quote(ti.dag_id, safe='')}?{query}"
