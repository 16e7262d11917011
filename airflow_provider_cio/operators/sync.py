"""A sync as an Airflow task: it turns a context into parameters, and an outcome into a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

from airflow_provider_cio.engine import (
    ObjectsQuery,
    PeopleQuery,
    RelationshipsQuery,
    Source,
    Status,
    Summary,
    Sync,
    run_sync,
)
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
    """Import people or objects, and their relationships, from queries into a Customer.io workspace.

    The queries are templates: ``{{ last_sync_time }}`` is where the last Completed run began to look, in Unix
    seconds, and 0 before there was one. Params of the DAG are honoured when they are there: ``full_refresh``
    uses 0 once, ``dry_run`` reads and checks everything, sends nothing and moves nothing.

    The result, also as XCom ``summary`` and then also of a run that failed, is that of `Summary.as_dict`.

    Args:
        workspace: The workspace's name; its syncs share a pool of one slot.
        sync: The sync's name, unique in its workspace; the last sync time is kept under it.
        people_query: One SELECT, or the name of a ``.sql`` file; templated. Give this or ``objects_query``.
        identify_by: ``id`` or ``email``; by default id, and email where a row's id is NULL.
        objects_query: The same for objects, named by ``object_id``.
        object_type_id: The type of the objects.
        relationships_query: The same for relationships of people and objects.
        relationships_identify_by: Whether its people are named by ``id`` or ``email``.
        relationships_object_type_id: The type of its objects; ``object_type_id`` when it is not given.
        nulls: ``remove`` an attribute that is NULL, or ``skip`` it.
        timestamps: Dates and times as ``unix`` seconds or ``iso`` text.
        postgres_conn_id: The source.
        customerio_conn_id: The workspace; ``customerio_<workspace>`` when it is not given.
        overlap: Seconds to look back where the source hides transactions in flight.
        max_lookback: Seconds to look back at most for a long transaction.
    """

    template_fields: Sequence[str] = ("people_query", "objects_query", "relationships_query")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = dict.fromkeys(template_fields, "sql")
    ui_color = "#e3e0fb"

    _last_sync_time = 0
    _workspace: Workspace | None = None

    def __init__(
        self,
        *,
        workspace: str,
        sync: str,
        people_query: str | None = None,
        identify_by: Identifier | None = None,
        objects_query: str | None = None,
        object_type_id: str | None = None,
        relationships_query: str | None = None,
        relationships_identify_by: Identifier = "id",
        relationships_object_type_id: str | None = None,
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
        self.objects_query = objects_query
        self.object_type_id = object_type_id
        self.relationships_query = relationships_query
        self.relationships_identify_by = relationships_identify_by
        self.relationships_object_type_id = relationships_object_type_id or object_type_id
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
        summary = Summary(self._last_sync_time, dry_run=dry_run)
        try:
            self._workspace = DryRun() if dry_run else CustomerIOHook(self.customerio_conn_id).get_conn()
            self._run(self._workspace, summary)
        except (ConfigurationError, AirflowNotFoundException) as error:
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
        source = Source(
            self._connect_source,
            overlap=self.overlap,
            max_lookback=self.max_lookback,
            timestamps=self.timestamps,
        )
        sync = Sync(main=self._main(), relationships=self._relationships(), nulls=self.nulls)
        run_sync(sync, source, workspace, RejectionLog().add, summary)

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
