"""The names by which people find a sync in Airflow."""

from __future__ import annotations

#: What the Variable that holds it is for.
LAST_SYNC_TIME_DESCRIPTION = "Unix seconds from which this sync reads changes; 0 means everything again."

WINDOWS_DESCRIPTION = (
    "When syncs of this workspace were running lately; a scheduled run due in between is skipped."
)


def dag_id(workspace: str, sync_name: str) -> str:
    """Name the DAG of a sync."""
    return f"customerio.{workspace}.{sync_name}"


def asset_uri(workspace: str, sync_name: str) -> str:
    """Name the asset that a Completed run updates."""
    return f"customerio://{workspace}/{sync_name}"


def pool_name(workspace: str) -> str:
    """Name the pool whose one slot lets one sync of the workspace run at a time."""
    return f"customerio.{workspace}"


def last_sync_time_key(workspace: str, sync_name: str) -> str:
    """Name the Variable that holds the last sync time."""
    return f"{dag_id(workspace, sync_name)}.last_sync_time"


def windows_key(workspace: str) -> str:
    """Name the Variable that holds when syncs of the workspace were running."""
    return f"customerio.{workspace}.windows"


def connection_id(workspace: str) -> str:
    """Name the connection that a sync of the workspace uses when it names none."""
    return f"customerio_{workspace}"


def application_name(workspace: str, sync_name: str) -> str:
    """Return the name of a sync's sessions in Postgres, which keeps the first 63 characters."""
    return f"customerio:{workspace}.{sync_name}"
