"""A sync as an Airflow task: it turns a context into parameters, and an outcome into a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_cio.engine import PeopleQuery, Source, Status, Summary, Sync, run_sync
from airflow_provider_cio.engine.dry_run import DryRun
from airflow_provider_cio.errors import ConfigurationError, SyncError
from airflow_provider_cio.hooks.customerio import CustomerIOHook
from airflow_provider_cio.naming import connection_id, pool_name
from airflow_provider_cio.rejection_log import RejectionLog
from airflow_provider_cio.state import LastSyncTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_cio.engine.queries import Identifier, Nulls, Timestamps
    from airflow_provider_cio.engine.verdicts import Workspace


class CustomerIOSyncOperator(BaseOperator):
    """Import the people of a query into a Customer.io workspace.

    The query is a template: ``{{ last_sync_time }}`` is where the last Completed run began to look, in Unix
    seconds, and 0 before there was one. Params of the DAG are honoured when they are there: ``full_refresh``
    uses 0 once, ``dry_run`` reads and checks everything, sends nothing and moves nothing.

    The result, also as XCom ``summary`` and then also of a run that failed, is that of `Summary.as_dict`.

    Args:
        workspace: The workspace's name; its syncs share a pool of one slot.
        sync: The sync's name, unique in its workspace; the last sync time is kept under it.
        people_query: One SELECT, or the name of a ``.sql`` file; templated.
        identify_by: ``id`` or ``email``; by default id, and email where a row's id is NULL.
        nulls: ``remove`` an attribute that is NULL, or ``skip`` it.
        timestamps: Dates and times as ``unix`` seconds or ``iso`` text.
        postgres_conn_id: The source.
        customerio_conn_id: The workspace; ``customerio_<workspace>`` when it is not given.
        overlap: Seconds to look back where the source hides transactions in flight.
        max_lookback: Seconds to look back at most for a long transaction.
    """

    template_fields: Sequence[str] = ("people_query",)
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"people_query": "sql"}  # noqa: RUF012 - the base class has it so
    ui_color = "#e3e0fb"

    _last_sync_time = 0
    _workspace: Workspace | None = None

    def __init__(
        self,
        *,
        workspace: str,
        sync: str,
        people_query: str,
        identify_by: Identifier | None = None,
        nulls: Nulls = "remove",
        timestamps: Timestamps = "unix",
        postgres_conn_id: str = "postgres_default",
        customerio_conn_id: str | None = None,
        overlap: int = 60,
        max_lookback: int = 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"pool": pool_name(workspace), **kwargs})
        self.workspace = workspace
        self.sync = sync
        self.people_query = people_query
        self.identify_by = identify_by
        self.nulls = nulls
        self.timestamps = timestamps
        self.postgres_conn_id = postgres_conn_id
        self.customerio_conn_id = customerio_conn_id or connection_id(workspace)
        self.overlap = overlap
        self.max_lookback = max_lookback

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the query with the last sync time."""
        full_refresh = context["params"].get("full_refresh", False)
        try:
            self._last_sync_time = 0 if full_refresh else LastSyncTime(self.workspace, self.sync).read()
        except ConfigurationError as error:
            raise AirflowFailException(str(error)) from None
        context["last_sync_time"] = self._last_sync_time  # type: ignore[typeddict-unknown-key]
        super().render_template_fields(context, jinja_env)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the sync; store the next last sync time when it Completed."""
        dry_run = context["params"].get("dry_run", False)
        if dry_run:
            self.log.info("A dry run: nothing is sent, and the last sync time stays where it is")
        summary = Summary(self._last_sync_time)
        try:
            self._workspace = DryRun() if dry_run else CustomerIOHook(self.customerio_conn_id).get_conn()
            self._run(self._workspace, summary)
        except ConfigurationError as error:
            raise AirflowFailException(str(error)) from None
        except SyncError as error:
            raise AirflowException(str(error)) from None
        finally:
            self._tell(context, summary)
        if summary.status is Status.SOME_ROWS_FAILED:
            raise AirflowFailException(
                f"{summary.rows_failed} of {summary.rows_read} rows failed; the last sync time stays"
                f" {summary.last_sync_time}. Correct the rows, then run again."
            )
        if not dry_run:
            LastSyncTime(self.workspace, self.sync).store(summary.next_last_sync_time)
        return summary.as_dict()

    def on_kill(self) -> None:
        """End the run: no request waits any longer."""
        if self._workspace:
            self._workspace.stop()

    def _run(self, workspace: Workspace, summary: Summary) -> None:
        people = PeopleQuery(sql=self.people_query, identify_by=self.identify_by)
        source = Source(
            self._connect_source,
            overlap=self.overlap,
            max_lookback=self.max_lookback,
            timestamps=self.timestamps,
        )
        run_sync(Sync(people=people, nulls=self.nulls), source, workspace, RejectionLog().add, summary)

    def _connect_source(self) -> psycopg.Connection[Any]:
        connection = PostgresHook(self.postgres_conn_id, log_sql=False).get_conn()
        if not isinstance(connection, psycopg.Connection):
            raise ConfigurationError(
                "Airflow's PostgresHook uses psycopg2 here; install psycopg 3 and SQLAlchemy 2"
            )
        return connection

    def _tell(self, context: Context, summary: Summary) -> None:
        """Leave the summary where people and other tasks look for it."""
        context["ti"].xcom_push("summary", summary.as_dict())
        for line in summary.lines():
            self.log.info(line)
