"""What Airflow's metadata database has about syncs, read with a constant number of queries.

Every function is one query, whatever the number of DAGs and runs.
"""

from airflow_provider_cio.plugin.metadata.dags import SyncDag, SyncTask, read_dags
from airflow_provider_cio.plugin.metadata.deployment import (
    BrokenFile,
    read_import_errors,
    read_missing_connections,
    read_missing_pools,
    read_variables,
)
from airflow_provider_cio.plugin.metadata.runs import (
    Instance,
    Run,
    read_instances,
    read_latest_runs,
    read_progress,
    read_rendered_queries,
    read_runs,
    read_unfinished,
)

__all__ = [
    "BrokenFile",
    "Instance",
    "Run",
    "SyncDag",
    "SyncTask",
    "read_dags",
    "read_import_errors",
    "read_instances",
    "read_latest_runs",
    "read_missing_connections",
    "read_missing_pools",
    "read_progress",
    "read_rendered_queries",
    "read_runs",
    "read_unfinished",
    "read_variables",
]
