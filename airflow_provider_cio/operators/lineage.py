"""OpenLineage: which tables a sync reads, and which workspace it writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.postgres.hooks.postgres import PostgresHook

from airflow_provider_cio.naming import asset_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.openlineage.extractors import OperatorLineage


def lineage(
    queries: Sequence[str], postgres_conn_id: str, workspace: str, sync: str
) -> OperatorLineage[Any, Any]:
    """Describe a run to OpenLineage, whose provider asks for it.

    Args:
        queries: What was run on the source.
        postgres_conn_id: The source.
        workspace: The workspace's name.
        sync: The sync's name; with the workspace it names the asset that a run updates.
    """
    # Only there when somebody has installed the provider of OpenLineage.
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415
    from airflow.providers.openlineage.sqlparser import SQLParser  # noqa: PLC0415

    hook = PostgresHook(postgres_conn_id, log_sql=False)
    connection = hook.get_connection(postgres_conn_id)
    parser = SQLParser(
        dialect=hook.get_openlineage_database_dialect(connection),
        default_schema=hook.get_openlineage_default_schema(),
    )
    found = parser.generate_openlineage_metadata_from_sql(
        sql=list(queries), hook=hook, database_info=hook.get_openlineage_database_info(connection)
    )
    namespace, _, name = asset_uri(workspace, sync).rpartition("/")
    found.outputs = [Dataset(namespace=namespace, name=name)]
    return found
