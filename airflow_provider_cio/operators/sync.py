"""A sync as an Airflow task: it turns a context into parameters, and an outcome into a task state.

Longer than 300 lines, because the constructor of the public operator lists and documents every argument.
"""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_cio.assets import create_asset
from airflow_provider_cio.engine import Counts, ReadBack, Status, Summary, run_sync
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.engine.preview import PREVIEW_ROWS, Preview, preview
from airflow_provider_cio.engine.retry import FailedRows
from airflow_provider_cio.engine.sources import DEFAULT_MAX_LOOKBACK
from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError, StoppedError
from airflow_provider_cio.hooks.customerio import read_seconds
from airflow_provider_cio.operators.arguments import ArgumentError, check_arguments, check_names
from airflow_provider_cio.operators.connections import workspace_clients, workspace_url
from airflow_provider_cio.operators.engine_inputs import build_source, build_sync, find_segment_id
from airflow_provider_cio.operators.failed_rows import check_no_limit, failed_rows_message, render_retries
from airflow_provider_cio.operators.guards import build_guards, uses_last_sync_time
from airflow_provider_cio.operators.lineage import lineage
from airflow_provider_cio.operators.links import ImportLink, WorkspaceLink
from airflow_provider_cio.operators.metrics import send_metrics
from airflow_provider_cio.operators.progress import write_progress
from airflow_provider_cio.operators.queries import QUERY_ARGUMENTS
from airflow_provider_cio.operators.rendering import render_query
from airflow_provider_cio.operators.results import publish_result
from airflow_provider_cio.operators.run_conf import Switches, read_switches
from airflow_provider_cio.operators.supervision import call_when_supervisor_ends
from airflow_provider_cio.operators.task_failures import as_task_failure
from airflow_provider_cio.reports.link import ReportLink, report_url
from airflow_provider_cio.reports.report import Report
from airflow_provider_cio.state.failed_rows import FailedRowsStore
from airflow_provider_cio.state.last_completed import LastCompleted
from airflow_provider_cio.state.last_sync_time import LastSyncTime
from airflow_provider_cio.state.names import connection_id, pool_name
from airflow_provider_cio.state.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import jinja2
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.sources import Source, Timestamps
    from airflow_provider_cio.operators.failed_rows import FailedRowsMode
    from airflow_provider_cio.track.http import HttpClient


class CustomerIOSyncOperator(BaseOperator):
    """Import people or objects, and their relationships, from queries into a Customer.io workspace.

    The queries are templates. In them, ``{{ last_sync_time }}`` is the time from which to read changes, in
    Unix seconds; it is 0 until a run has Completed. The DAG can have two params: ``full_refresh`` uses 0 for
    one run, and ``dry_run`` reads and checks every row, sends nothing, and keeps the last sync time.

    The task returns the summary of the run (see `Summary.as_dict`). The summary is also the XCom ``summary``,
    for a run that failed too, and templates of callbacks can use it as ``summary``. A Completed run updates
    the asset ``customerio://<workspace>/<sync_name>``.

    Args:
        workspace: The name of the workspace. The syncs of a workspace share a pool of one slot.
        sync_name: The name of the sync, unique in its workspace. The last sync time is stored under it.
        people_query: One SELECT, or the name of a ``.sql`` file. Give this or ``objects_query``.
        identify_by: ``id`` or ``email``. By default people are identified by id, and by email where the id of
            a row is NULL.
        objects_query: The same for objects, which are identified by ``object_id``.
        object_type_id: The type of the objects.
        segment_id: The id of the manual segment to which imported people are added.
        segment_name: Its name, instead of its id. The segment is created if it does not exist. The connection
            then needs an App API key.
        relationships_query: The same for relationships between people and objects.
        relationships_identify_by: Whether the people of relationships are identified by ``id`` or ``email``.
        relationships_object_type_id: The type of their objects. By default it is ``object_type_id``.
        create: Whether a row of ``people_query`` creates its person if the person does not exist. With False,
            such rows change nothing, and are counted as ``not_found`` if the connection has an App API key.
        guards: Limits that end a run, because its query is probably wrong: a dict with ``min_rows``,
            ``max_rows``, ``max_growth`` and ``max_failed``, such as ``{"min_rows": 1, "max_failed": "5%"}``.
        nulls: ``remove`` an attribute that is NULL, or ``skip`` it.
        failed_rows: ``hold`` the last sync time until no row fails, or let the next runs ``retry`` the failed
            rows. With ``retry``, the task fails only if a row fails for the first time.
        timestamps: Dates and times as ``unix`` seconds or ``iso`` text.
        postgres_conn_id: The connection of the source.
        customerio_conn_id: The connection of the workspace. By default it is ``customerio_<workspace>``.
        overlap: Seconds that are always subtracted from the next last sync time. By default 60 seconds are
            subtracted, and only where the source hides when transactions began.
        max_lookback: The most seconds by which a long transaction can hold the last sync time back.
        statement_timeout: Seconds that Postgres may take for the next rows. By default the setting of the
            server applies.
    """

    template_fields: Sequence[str] = tuple(arguments.sql for arguments in QUERY_ARGUMENTS)
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = dict.fromkeys(template_fields, "sql")
    ui_color = "#e3e0fb"

    operator_extra_links = (ImportLink(), ReportLink(), WorkspaceLink())
    report_url = ""
    workspace_url = ""

    _wrong_arguments: ArgumentError | None = None
    _switches = Switches()
    _last_sync_time = 0
    _stored_sync_time = 0
    _reads_everything = True
    _failed_rows: FailedRows
    _sent_requests = False
    _stopped = False
    _stoppable: Sequence[Source | HttpClient] = ()

    def __init__(
        self,
        *,
        workspace: str,
        sync_name: str,
        people_query: str | None = None,
        identify_by: Identifier | None = None,
        objects_query: str | None = None,
        object_type_id: str | None = None,
        segment_id: int | None = None,
        segment_name: str | None = None,
        relationships_query: str | None = None,
        relationships_identify_by: Identifier = "id",
        relationships_object_type_id: str | None = None,
        create: bool = True,
        guards: dict[str, int | str] | None = None,
        nulls: Nulls = "remove",
        timestamps: Timestamps = "unix",
        failed_rows: FailedRowsMode = "hold",
        postgres_conn_id: str = "postgres_default",
        customerio_conn_id: str | None = None,
        overlap: int | None = None,
        max_lookback: int = DEFAULT_MAX_LOOKBACK,
        statement_timeout: int | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        check_names(arguments)
        try:
            check_arguments(arguments)
        except ArgumentError as error:
            # Airflow constructs a mapped task when it runs: then this is an error of the run.
            if not getattr(self, "_BaseOperator__from_mapped", False):
                raise
            self._wrong_arguments = error
        asset = create_asset(workspace=workspace, sync_name=sync_name)
        outlets = [asset, *kwargs.pop("outlets", ())]
        super().__init__(**{"pool": pool_name(workspace), **kwargs}, outlets=outlets)
        self.workspace = workspace
        self.sync_name = sync_name
        self.people_query = people_query
        self.identify_by = identify_by
        self.objects_query = objects_query
        self.object_type_id = object_type_id
        self.segment_id = segment_id
        self.segment_name = segment_name
        self.relationships_query = relationships_query
        self.relationships_identify_by = relationships_identify_by
        self.relationships_object_type_id = relationships_object_type_id or object_type_id
        self.create = create
        self.guards = guards
        self.nulls = nulls
        self.timestamps = timestamps
        self.failed_rows = failed_rows
        self.postgres_conn_id = postgres_conn_id
        self.customerio_conn_id = customerio_conn_id or connection_id(workspace)
        self.overlap = overlap
        self.max_lookback = max_lookback
        self.statement_timeout = statement_timeout

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """Return what Airflow's database keeps of the task; the pages show the ids of the connections."""
        fields: frozenset[str] = super().get_serialized_fields()  # type: ignore[no-untyped-call]
        return fields | {"postgres_conn_id", "customerio_conn_id"}

    # Before `execute`: what the run was asked for, the last sync time, and the queries.

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render the queries with the last sync time.

        Airflow calls this before `execute`, also for a mapped operator. It publishes a first summary, which
        stays the summary of a run that is killed before `execute` can publish another.
        """
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
            return

        def publish(_kind: object, error: BaseException | None, _traceback: object) -> None:
            publish_result(context, self._new_summary(), failure=error)

        with as_task_failure(), ExitStack() as at_the_end:
            at_the_end.push(publish)
            if self._wrong_arguments:
                raise self._wrong_arguments
            self._switches = self._read_switches(context)
            self._stored_sync_time = LastSyncTime(self.workspace, self.sync_name).read()
            self._last_sync_time = 0 if self._switches.full_refresh else self._stored_sync_time
            remembered = []
            if self._last_sync_time and "ti" in context:  # a preview does not read failed rows again
                remembered = self._failed_rows_store().load()
            self._failed_rows = FailedRows(
                remembered, last_sync_time=self._last_sync_time, retry=self.failed_rows == "retry"
            )
            render_retries(self, self._failed_rows, context, jinja_env)
            context["last_sync_time"] = self._last_sync_time  # type: ignore[typeddict-unknown-key]
            main_query = self.people_query or self.objects_query
            for field in template_fields:
                setattr(self, field, render_query(self, field, context, jinja_env, seen_oids))
                if self.failed_rows == "retry":
                    check_no_limit(field, getattr(self, field))
            self._reads_everything = self._last_sync_time == 0 or not uses_last_sync_time(
                main_query, jinja_env
            )

    def _read_switches(self, context: Context) -> Switches:
        run, dag = context.get("dag_run"), context.get("dag")
        if run and run.run_type == "backfill":
            raise ConfigurationError(
                "A sync cannot be backfilled: every run reads what changed since the last sync time, whatever"
                " its date is. To send all rows again, trigger a run with full_refresh."
            )
        conf = (run.conf if run else None) or {}
        declared = {*self.params, *(dag.params if dag else ())}
        return read_switches(conf, context["params"], declared)

    # The run.

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the sync, and store the next last sync time when it has Completed."""
        call_when_supervisor_ends(self.on_kill)
        summary = self._new_summary()
        if summary.dry_run:
            self.log.info("This is a dry run: nothing is sent, and the last sync time does not change.")
        else:
            self._skip_if_busy(context, summary)
        with as_task_failure():
            result = self._import(context, summary)
            held = self._failed_rows.hold_last_sync_time
            if not summary.dry_run and not held:
                # In this order: a run that is killed in between must not skip a failed row.
                self._failed_rows_store().save(self._failed_rows.rows)
                if summary.status is Status.COMPLETED:
                    LastCompleted(self.workspace, self.sync_name).store(
                        summary, reads_everything=self._reads_everything
                    )
                LastSyncTime(self.workspace, self.sync_name).store(
                    summary.next_last_sync_time, before=self._stored_sync_time
                )
            if held or summary.rows_newly_failed:
                message = failed_rows_message(
                    self._failed_rows, summary, self.failed_rows, self._stored_sync_time
                )
                raise ConfigurationError(message)
            if summary.dry_run:
                context["ti"].task.outlets = []  # a dry run does not update the asset
            else:
                context["outlet_events"][self.outlets[0]].extra = result
        return result

    def _failed_rows_store(self) -> FailedRowsStore:
        return FailedRowsStore(self.workspace, self.sync_name)

    def _skip_if_busy(self, context: Context, summary: Summary) -> None:
        """Skip a scheduled run that became due while another sync of the workspace was running."""
        run = context["dag_run"]
        if run.run_type != "scheduled" or context["ti"].try_number > 1:
            return
        skipped_because = Windows(self.workspace).skip(self.sync_name, run.run_after)
        if not skipped_because:
            return
        summary.status = Status.SKIPPED
        summary.finished_at = summary.started_at
        reason = f"{Status.SKIPPED}: {skipped_because}"
        publish_result(context, summary, reason=reason)
        send_metrics(self.workspace, self.sync_name, summary)
        self.log.info(reason)  # Airflow's own log line hides the reason in a field
        raise AirflowSkipException(reason)

    def _import(self, context: Context, summary: Summary) -> dict[str, Any]:
        """Run the sync. However it ends, close the report, publish the summary and add the window."""
        result: dict[str, Any] = {}
        report: Report | None = None

        def finish(_kind: object, error: BaseException | None, _traceback: object) -> None:
            result.update(self._finish(context, summary, report, error))

        with ExitStack() as at_the_end:  # each callback is called even if another one fails
            if not summary.dry_run:
                due = context["dag_run"].run_after
                at_the_end.callback(
                    lambda: Windows(self.workspace).add(self.sync_name, due, summary.started_at)
                )
            at_the_end.push(finish)
            history = self.failed_rows == "retry"
            report = Report(self.workspace, self.sync_name, summary.started_at, history=history)
            at_the_end.push(self._report_closer(report))
            at_the_end.enter_context(write_progress(context, summary))
            self._run(summary, report)
        return result

    def _run(self, summary: Summary, report: Report) -> None:
        source, sync = build_source(self), build_sync(self)
        guards = build_guards(
            self.guards,
            LastCompleted(self.workspace, self.sync_name),
            reads_everything=self._reads_everything,
        )
        if summary.dry_run:
            self._allow_stop(source)
            run_sync(sync, source, DryRun(), report, summary, guards=guards, failed_rows=self._failed_rows)
            return
        track_client, app_client = workspace_clients(self.customerio_conn_id)
        self.workspace_url = workspace_url(self.customerio_conn_id)
        with track_client as workspace, app_client or nullcontext() as app:
            self._allow_stop(*(part for part in (workspace, app, source) if part))
            read_back = ReadBack(app, read_seconds("apply_wait")) if app else None
            if not app:
                self.log.info(
                    "The connection has no app_api_key. Changes that Customer.io accepts and then does not"
                    " apply, such as the email address of another person, cannot be found. They count as"
                    " imported."
                )
            sync = dataclasses.replace(sync, segment=find_segment_id(self, app))
            run_sync(
                sync,
                source,
                workspace,
                report,
                summary,
                read_back=read_back,
                guards=guards,
                failed_rows=self._failed_rows,
            )

    # The end of the run.

    def on_kill(self) -> None:
        """Stop the run: end waiting requests, and cancel the query in Postgres.

        Airflow calls this from a signal handler, which interrupts the run anywhere. So each part is stopped
        in a thread of its own: a part that waits for the network, or for a lock of the interrupted code,
        delays nothing else.
        """
        self._stopped = True
        for part in self._stoppable:
            Worker("customerio-stop").submit(part.stop)

    def _allow_stop(self, *parts: Source | HttpClient) -> None:
        """Let `on_kill` stop these parts from now on.

        Raises:
            StoppedError: `on_kill` was called before.
        """
        self._stoppable = parts
        if self._stopped:
            raise StoppedError("The run was stopped before it read anything. Run it again.")

    def _report_closer(self, report: Report) -> Callable[[type[BaseException] | None, Any, Any], None]:
        """Return a callback that closes the report, quickly if Airflow ends the run."""

        def close(kind: type[BaseException] | None, _error: Any, _traceback: Any) -> None:
            timed_out = kind is not None and not issubclass(kind, Exception)  # execution_timeout
            report.close(quickly=self._stopped or timed_out)

        return close

    def _finish(
        self, context: Context, summary: Summary, report: Report | None, error: BaseException | None
    ) -> dict[str, Any]:
        """Publish the summary of the run, and log it."""
        self._sent_requests = summary.requests > 0
        location = report.location if report else None
        self.report_url = report_url(context) if location else ""
        result = publish_result(context, summary, report=location, report_url=self.report_url, failure=error)
        send_metrics(self.workspace, self.sync_name, summary)
        for line in summary.lines():
            self.log.info(line)
        if location:
            self.log.info(
                "The report lists every rejected row with its reason: %s (%s)", self.report_url, location
            )
        return result

    def _new_summary(self) -> Summary:
        """Return a new summary. It has all queries, so that templates of callbacks can use them."""
        counts = {
            arguments.kind.name: Counts() for arguments in QUERY_ARGUMENTS if getattr(self, arguments.sql)
        }
        return Summary(
            self._last_sync_time, self._stored_sync_time, dry_run=self._switches.dry_run, queries=counts
        )

    # Without a run.

    def preview(
        self, *, rows: int = PREVIEW_ROWS, full_refresh: CustomerIOSyncOperator | None = None
    ) -> list[Preview]:
        """Read the first rows of the queries, which must be rendered, and send nothing.

        Args:
            rows: The number of rows of each query.
            full_refresh: The same task, rendered for a full refresh. If it is given, rows are counted.

        Raises:
            SyncError: The queries cannot be read.
        """
        full_sync = build_sync(full_refresh) if full_refresh else None
        return preview(build_sync(self), build_source(self), rows=rows, full_refresh=full_sync)

    def get_openlineage_facets_on_complete(
        self,
        task_instance: RuntimeTaskInstance,  # noqa: ARG002 - part of OpenLineage's interface
    ) -> OperatorLineage[Any, Any]:
        """Return the tables that were read, and the workspace that was written to, for OpenLineage."""
        queries = [query.sql for query in build_sync(self).queries]
        found = lineage(queries, self.postgres_conn_id, self.workspace, self.sync_name)
        if not self.outlets:
            found.outputs = []  # a dry run writes nothing
        return found

    def get_openlineage_facets_on_failure(
        self, task_instance: RuntimeTaskInstance
    ) -> OperatorLineage[Any, Any]:
        """Return the same for a run that failed. The workspace is an output if a request was sent to it."""
        if not self._sent_requests:
            self.outlets = []  # without inputs and outputs, OpenLineage would take the outlets
        return self.get_openlineage_facets_on_complete(task_instance)
