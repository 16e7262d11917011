"""A sync as an Airflow task: it turns a context into parameters, and an outcome into a state."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import traceback
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.sdk import Asset, BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRuntimeError,
    AirflowSkipException,
)

from airflow_provider_cio.engine import Counts, PostgresSource, ReadBack, Status, Summary, Sync, run_sync
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.engine.delivery.segment import find_segment
from airflow_provider_cio.engine.preview import Preview, preview
from airflow_provider_cio.engine.sources.watermark import DEFAULT_MAX_LOOKBACK
from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError, StoppedError, SyncError
from airflow_provider_cio.hooks.customerio import CustomerIOHook, read_seconds
from airflow_provider_cio.hooks.source import connect_source
from airflow_provider_cio.operators.arguments import ArgumentError, check_arguments, check_names
from airflow_provider_cio.operators.lineage import lineage
from airflow_provider_cio.operators.queries import OBJECTS, PEOPLE, QUERY_ARGUMENTS, RELATIONSHIPS
from airflow_provider_cio.operators.rendering import render_query
from airflow_provider_cio.operators.run_conf import Switches, read_switches
from airflow_provider_cio.operators.supervision import call_when_supervisor_ends
from airflow_provider_cio.reports.report import Report
from airflow_provider_cio.state.airflow_api import check_airflow_answers
from airflow_provider_cio.state.last_sync_time import LastSyncTime
from airflow_provider_cio.state.names import asset_uri, connection_id, pool_name
from airflow_provider_cio.state.windows import Window, Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import jinja2
    import psycopg
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.sources import Timestamps
    from airflow_provider_cio.track import AppClient
    from airflow_provider_cio.track.http import HttpClient


log = logging.getLogger(__name__)


class ReportLink(BaseOperatorLink):
    """A link to the run's report; none when no row failed."""

    name = "Failed rows"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow passes it
        """Say where the report is; called where the task ran, at its end."""
        return str(getattr(operator, "report_url", ""))  # a mapped task that was never unmapped has none


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
        sync_name: The name of the sync, unique in its workspace. The last sync time is stored under it.
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

    template_fields: Sequence[str] = tuple(arguments.sql for arguments in QUERY_ARGUMENTS)
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = dict.fromkeys(template_fields, "sql")
    ui_color = "#e3e0fb"

    operator_extra_links = (ReportLink(),)
    report_url = ""

    _wrong_arguments: ArgumentError | None = None
    _switches = Switches()
    _last_sync_time = 0
    _stored_sync_time = 0
    _stopped = False
    _stoppable: Sequence[PostgresSource | HttpClient] = ()

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
        nulls: Nulls = "remove",
        timestamps: Timestamps = "unix",
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
        asset = Asset(uri=asset_uri(workspace, sync_name))
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
        self.nulls = nulls
        self.timestamps = timestamps
        self.postgres_conn_id = postgres_conn_id
        self.customerio_conn_id = customerio_conn_id or connection_id(workspace)
        self.overlap = overlap
        self.max_lookback = max_lookback
        self.statement_timeout = statement_timeout

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render the queries with the last sync time, after a look at what the run was asked for.

        Airflow calls this before `execute`, also for a mapped operator. The summary that it leaves holds
        until `execute` leaves another one: it is that of a run that was killed, too.
        """
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
            return
        with _as_task_failure(), ExitStack() as at_the_end:
            at_the_end.callback(lambda: self._leave(context, self._outcome(self._new_summary())))
            if self._wrong_arguments:
                raise self._wrong_arguments
            self._switches = self._read_switches(context)
            self._stored_sync_time = LastSyncTime(self.workspace, self.sync_name).read()
            self._last_sync_time = 0 if self._switches.full_refresh else self._stored_sync_time
            context["last_sync_time"] = self._last_sync_time  # type: ignore[typeddict-unknown-key]
            for field in template_fields:
                setattr(self, field, render_query(self, field, context, jinja_env, seen_oids))

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the sync; store the next last sync time when it Completed."""
        call_when_supervisor_ends(self.on_kill)
        summary = self._new_summary()
        if summary.dry_run:
            self.log.info("A dry run: nothing is sent, and the last sync time stays where it is")
        else:
            self._skip_when_busy(context, summary)
        with _as_task_failure():
            outcome = self._import(context, summary)
            if summary.status is Status.SOME_ROWS_FAILED:
                raise ConfigurationError(
                    f"{summary.rows_failed} of {summary.rows_read} rows failed; the last sync time stays"
                    f" {self._stored_sync_time}. Correct the rows, then run again."
                )
            if summary.dry_run:
                context["ti"].task.outlets = []  # nothing was updated
            else:
                context["outlet_events"][self.outlets[0]].extra = outcome
                LastSyncTime(self.workspace, self.sync_name).store(
                    summary.next_last_sync_time, before=self._stored_sync_time
                )
        return outcome

    def _import(self, context: Context, summary: Summary) -> dict[str, Any]:
        """Run the sync and, whatever becomes of it, leave report, summary and window, each on its own."""
        outcome: dict[str, Any] = {}
        report: Report | None = None
        with ExitStack() as at_the_end:
            if not summary.dry_run:
                at_the_end.callback(self._remember_window, context, summary)
            at_the_end.callback(lambda: outcome.update(self._tell(context, summary, report)))
            report = Report(self.workspace, self.sync_name, summary.started_at)
            at_the_end.push(self._close(report))
            self._run(summary, report)
        return outcome

    def _close(self, report: Report) -> Callable[[type[BaseException] | None, Any, Any], None]:
        """Make what closes the report at the end of the run: quickly when Airflow ends it."""

        def close(kind: type[BaseException] | None, _error: Any, _traceback: Any) -> None:
            told_to_end = kind is not None and not issubclass(kind, Exception)  # execution_timeout
            report.close(hurried=self._stopped or told_to_end)

        return close

    def _remember_window(self, context: Context, summary: Summary) -> None:
        end = dt.datetime.now(dt.UTC)
        Windows(self.workspace).add(Window(self.sync_name, _due(context), summary.started_at, end))

    def _read_switches(self, context: Context) -> Switches:
        run, dag = context.get("dag_run"), context.get("dag")
        conf_of_run = (run.conf if run else None) or {}
        declared = {*self.params, *(dag.params if dag else ())}
        return read_switches(conf_of_run, context["params"], declared)

    def get_openlineage_facets_on_complete(
        self,
        task_instance: RuntimeTaskInstance,  # noqa: ARG002 - the provider passes it
    ) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage which tables were read, and which workspace was written to."""
        queries = [query.sql for query in self._sync().queries]
        found = lineage(queries, self.postgres_conn_id, self.workspace, self.sync_name)
        if not self.outlets:
            found.outputs = []  # a dry run has written nothing
        return found

    def on_kill(self) -> None:
        """End the run: no request waits any longer, and Postgres computes no more rows.

        Airflow calls this from a signal handler, wherever the run is. So each part is stopped in a thread of
        its own: one that waits for a network, or for a lock of the interrupted code, delays nothing.
        """
        self._stopped = True
        for part in self._stoppable:
            Worker("customerio-stop").submit(part.stop)

    def _skip_when_busy(self, context: Context, summary: Summary) -> None:
        """Skip a scheduled run that became due while a sync of the workspace was running."""
        if context["dag_run"].run_type != "scheduled" or context["ti"].try_number > 1:
            return
        due = _due(context)
        busy = Windows(self.workspace).skip(self.sync_name, due)
        if not busy:
            return
        summary.status = Status.SKIPPED
        summary.finished_at = summary.started_at
        self._leave(context, self._outcome(summary))
        reason = (
            f"{Status.SKIPPED}: at {due:%H:%M:%S} {busy.sync_name} was importing into the workspace"
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

    def _source(self) -> PostgresSource:
        return PostgresSource(
            self._connect_source,
            overlap=self.overlap,
            max_lookback=self.max_lookback,
            statement_timeout=self.statement_timeout,
            timestamps=self.timestamps,
        )

    def _sync(self) -> Sync:
        main = PEOPLE.build(self) or OBJECTS.build(self)
        return Sync(main=main, relationships=RELATIONSHIPS.build(self), nulls=self.nulls)  # type: ignore[arg-type] # `check_arguments` has seen to it

    def _run(self, summary: Summary, report: Report) -> None:
        source, sync = self._source(), self._sync()
        if summary.dry_run:
            self._let_stop(source)
            run_sync(sync, source, DryRun(), report, summary)
            return
        hook = CustomerIOHook(self.customerio_conn_id)
        with _existing("customerio_conn_id", self.customerio_conn_id, "Customer.io"):
            track, app_client = hook.get_conn(), hook.get_app_client()
        with track as workspace, app_client or nullcontext() as app:
            self._let_stop(*(part for part in (workspace, app, source) if part))
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

    def _let_stop(self, *parts: PostgresSource | HttpClient) -> None:
        """Let `on_kill` stop these from now on.

        Raises:
            StoppedError: It was called before.
        """
        self._stoppable = parts
        if self._stopped:
            raise StoppedError("The run was stopped before it read anything")

    def _segment(self, app: AppClient | None) -> int | None:
        """Find the segment, and create it when none has its name."""
        if self.segment_id is None and self.segment_name is None:
            return None
        if app:
            return find_segment(app, segment_id=self.segment_id, name=self.segment_name)
        if self.segment_id is None:
            raise ConfigurationError(
                f"To find a segment by its name, the connection {self.customerio_conn_id} needs app_api_key;"
                " without one, give the segment's id"
            )
        return self.segment_id

    def _connect_source(self) -> psycopg.Connection[Any]:
        with _existing("postgres_conn_id", self.postgres_conn_id, "Postgres"):
            return connect_source(self.postgres_conn_id)

    def _tell(self, context: Context, summary: Summary, report: Report | None) -> dict[str, Any]:
        """Leave the summary where people and other tasks look for it."""
        location = report.location if report else None
        self.report_url = _report_url(context) if location else ""
        outcome = self._outcome(summary, location)
        self._leave(context, outcome)
        for line in summary.lines():
            self.log.info(line)
        if location:
            self.log.info(
                "All rejected rows, and what is wrong with each: %s (%s)", self.report_url, location
            )
        return outcome

    def _new_summary(self) -> Summary:
        """Begin a summary; it has every query from the start, so that templates of callbacks find theirs."""
        counts = {
            arguments.kind.name: Counts() for arguments in QUERY_ARGUMENTS if getattr(self, arguments.sql)
        }
        return Summary(
            self._last_sync_time, self._stored_sync_time, dry_run=self._switches.dry_run, queries=counts
        )

    def _outcome(self, summary: Summary, report: str | None = None) -> dict[str, Any]:
        return {**summary.as_dict(), "report": report, "report_url": self.report_url or None}

    def _leave(self, context: Context, outcome: dict[str, Any]) -> None:
        """Leave a summary to other tasks and to the callbacks of this one."""
        context["summary"] = outcome  # type: ignore[typeddict-unknown-key]
        if "ti" not in context:  # a preview
            return
        try:
            context["ti"].xcom_push("summary", outcome)
        except Exception as error:  # noqa: BLE001 - of the network, the API or the database
            self.log.warning("The XCom summary cannot be written: %s", type(error).__name__)


def _due(context: Context) -> dt.datetime:
    """Say when a run was due: at the end of its interval, or when somebody triggered it."""
    return context["dag_run"].run_after


def _report_url(context: Context) -> str:
    """Say where the API server gives out a run's report."""
    ti = context["ti"]
    query = urlencode({"run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index})
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/customerio/reports/{quote(ti.dag_id, safe='')}?{query}"


@contextmanager
def _as_task_failure() -> Iterator[None]:
    """Turn an error into one that Airflow retries or not; its text is short and says what to do."""
    try:
        yield
    except (ConfigurationError, AirflowNotFoundException) as error:
        raise AirflowFailException(str(error)) from None
    except SyncError as error:
        raise AirflowException(str(error)) from None
    except AirflowException:
        raise
    except AirflowRuntimeError as error:
        raise AirflowException(
            f"Airflow's API did not answer as expected ({error.error.error.value}). Run the task again."
        ) from None
    except Exception as error:  # noqa: BLE001 - its text may quote rows
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("Where the error was raised:\n%s", where)  # noqa: TRY400 - not the error, as above
        raise AirflowException(
            f"An unexpected {type(error).__name__} ended the run; the log lines above show where."
            " If it happens again, report it with these lines."
        ) from None


@contextmanager
def _existing(argument: str, connection: str, kind: str) -> Iterator[None]:
    """Say which connection does not exist, and where to create it."""
    try:
        yield
    except AirflowNotFoundException:
        check_airflow_answers()
        raise ConfigurationError(
            f"The {kind} connection {connection} ({argument}) does not exist. Create it under Admin >"
            " Connections, as docs/connections.md describes."
        ) from None
