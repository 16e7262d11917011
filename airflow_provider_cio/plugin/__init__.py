"""The provider's part of Airflow's API server: pages, reports for download, and the pools of workspaces."""

from __future__ import annotations

import sys
from typing import Any

from airflow.plugins_manager import AirflowPlugin

# Airflow imports plugins in every process; only the API server needs the app, which is slow to import.
_IN_API_SERVER = "api-server" in sys.argv[1:3]


def _apps() -> list[dict[str, Any]]:
    if not _IN_API_SERVER:
        return []
    from airflow_provider_cio.plugin.app import app

    return [{"app": app, "url_prefix": "/customerio", "name": "Customer.io"}]


def _views() -> list[dict[str, Any]]:
    if not _IN_API_SERVER:
        return []
    from airflow_provider_cio.plugin.views import external_views

    return external_views()


class CustomerIOPlugin(AirflowPlugin):
    """Shows syncs and their runs, gives out reports, and keeps a pool for every workspace."""

    name = "customerio"
    fastapi_apps = _apps()
    external_views = _views()
