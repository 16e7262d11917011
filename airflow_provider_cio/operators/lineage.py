"""Report to OpenLineage which tables a sync reads and which workspace it writes to."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from psycopg import sql
from psycopg.rows import tuple_row

from airflow_provider_cio.assets import convert_asset_to_openlineage, create_asset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.openlineage.extractors import OperatorLineage

log = logging.getLogger(__name__)

#: The tables and views that the queries of this transaction use. A partitioned table is listed without its
#: partitions.
_LOCKED_TABLES = """
    SELECT DISTINCT concat_ws('.', current_database(), nspname, relname)
    FROM pg_catalog.pg_locks
    JOIN pg_catalog.pg_class c ON c.oid = relation
    JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
    WHERE pid = pg_backend_pid() AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition
        AND nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY 1
"""


def lineage(
    queries: Sequence[str], postgres_conn_id: str, workspace: str, sync_name: str
) -> OperatorLineage[Any, Any]:
    """Return the inputs and outputs of a run for OpenLineage.

    Args:
        queries: The queries of the run.
        postgres_conn_id: The id of the connection of the source.
        workspace: The name of the workspace.
        sync_name: The name of the sync. With the workspace it forms the URI of the asset that a run updates.
    """
    # These can be imported only if the OpenLineage provider is installed, which then calls this function.
    from airflow.providers.common.compat.openlineage.facet import Dataset, SQLJobFacet  # noqa: PLC0415
    from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415

    hook = PostgresHook(postgres_conn_id)
    server = hook.get_openlineage_database_info(hook.get_connection(postgres_conn_id))
    return OperatorLineage(
        inputs=[
            Dataset(namespace=f"{server.scheme}://{server.authority}", name=table)
            for table in _tables(hook, queries)
        ],
        outputs=[convert_asset_to_openlineage(create_asset(workspace=workspace, sync_name=sync_name))],
        job_facets={"sql": SQLJobFacet(query=";\n".join(queries))},
    )


def _tables(hook: PostgresHook, queries: Sequence[str]) -> list[str]:
    """Return the tables that queries read, as database.schema.table.

    Postgres locks each table of a query when it plans the query, so the locks are the complete list.
    OpenLineage's own parser does not find tables inside WITH, and fails at some of Postgres's syntax.
    """
    try:
        return _locked_tables(hook, queries)
    except psycopg.Error as error:  # its text may quote values
        log.warning(
            "The tables that the sync reads cannot be found for OpenLineage (%s).", type(error).__name__
        )
        return []


def _locked_tables(hook: PostgresHook, queries: Sequence[str]) -> list[str]:
    with closing(cast("psycopg.Connection[Any]", hook.get_conn())) as connection:
        connection.read_only = True
        connection.row_factory = tuple_row  # an Airflow connection can set another one
        for query in queries:
            with connection.cursor(name="lineage") as cursor:  # this plans the query and reads no row
                cursor.execute(sql.SQL(query))
        return [table for (table,) in connection.execute(_LOCKED_TABLES)]
