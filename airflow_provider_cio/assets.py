"""Assets with URIs of the form ``customerio://<workspace>/<sync_name>``, one for each sync.

Airflow imports this module in every process, so it imports almost nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_cio.settings import NAME_PATTERN
from airflow_provider_cio.state.names import asset_uri

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset

_is_name = re.compile(NAME_PATTERN).fullmatch


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check the URI of an asset. Airflow calls this when a DAG's file creates the asset.

    Raises:
        ValueError: The URI does not name a workspace and a sync.
    """
    sync_name = uri.path.removeprefix("/")
    if not _is_name(uri.netloc) or not _is_name(sync_name) or uri.query:
        raise ValueError(
            "A URI that begins with customerio:// must be customerio://<workspace>/<sync name>, with names"
            " of a-z, 0-9 and _, such as customerio://production/active_people"
        )
    return uri


def create_asset(*, workspace: str, sync_name: str, extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset that a Completed run of a sync updates.

    Args:
        workspace: The name of the workspace.
        sync_name: The name of the sync.
        extra: Further fields of the asset.
    """
    from airflow.sdk import Asset  # noqa: PLC0415 - takes a second, and most processes need no asset

    return Asset(uri=asset_uri(workspace, sync_name), extra=extra)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any = None) -> Dataset:  # noqa: ARG001 - part of Airflow's interface
    """Return the OpenLineage dataset of an asset: the workspace is its namespace, the sync its name."""
    # This module exists only if the provider of OpenLineage is installed.
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{uri.scheme}://{uri.netloc}", name=uri.path.removeprefix("/"))
