"""The names under which a sync and its state are found in Airflow."""

from __future__ import annotations

import re

from airflow_provider_cio.settings import MAX_NAME_LENGTH, NAME_PATTERN

_matches_name = re.compile(NAME_PATTERN).fullmatch

#: The descriptions of the Variables, which the Variables page shows.
LAST_SYNC_TIME_DESCRIPTION = (
    "The time from which this sync reads changes, in Unix seconds. 0 sends everything again."
)
FAILED_ROWS_DESCRIPTION = "The file with the failed rows that this sync retries. Do not edit."
LAST_COMPLETED_DESCRIPTION = "The last run of this sync that Completed."
WINDOWS_DESCRIPTION = (
    "The times when syncs of this workspace were running. A scheduled run that is due within one is Skipped."
)


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a workspace or of a sync."""
    return len(text) <= MAX_NAME_LENGTH and _matches_name(text) is not None


def dag_id(workspace: str, sync_name: str) -> str:
    """Return the id of the DAG of a sync."""
    return f"customerio.{workspace}.{sync_name}"


def asset_uri(workspace: str, sync_name: str) -> str:
    """Return the URI of the asset that a Completed run updates."""
    return f"customerio://{workspace}/{sync_name}"


def pool_name(workspace: str) -> str:
    """Return the name of the pool whose one slot lets one sync of the workspace run at a time."""
    return f"customerio.{workspace}"


def last_sync_time_key(workspace: str, sync_name: str) -> str:
    """Return the key of the Variable that holds the last sync time of a sync."""
    return f"{dag_id(workspace, sync_name)}.last_sync_time"


def last_completed_key(workspace: str, sync_name: str) -> str:
    """Return the key of the Variable that holds the last run that Completed."""
    return f"{dag_id(workspace, sync_name)}.last_completed"


def failed_rows_key(workspace: str, sync_name: str) -> str:
    """Return the key of the Variable that holds the generation of the failed rows of a sync."""
    return f"{dag_id(workspace, sync_name)}.failed_rows"


def windows_key(workspace: str) -> str:
    """Return the key of the Variable that holds the times when syncs of the workspace were running."""
    return f"customerio.{workspace}.windows"


def connection_id(workspace: str) -> str:
    """Return the id of the connection that syncs of the workspace use by default."""
    return f"customerio_{workspace}"


def application_name(workspace: str, sync_name: str) -> str:
    """Return the name of a sync's sessions in Postgres, which keeps the first 63 characters."""
    return f"customerio:{workspace}.{sync_name}"
