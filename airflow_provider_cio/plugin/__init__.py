"""The provider's part of Airflow's API server."""

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


class CustomerIOPlugin(AirflowPlugin):
    """Keeps a pool for every workspace, and gives out reports."""

    name = "customerio"
    fastapi_apps = _apps()
