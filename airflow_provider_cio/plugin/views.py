"""Where the pages are in Airflow's UI: an entry of the navigation, a tab of a DAG, a tab of a run."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

#: Airflow 3.4 shows a tab only on DAGs with this tag; earlier versions show it on every DAG.
_OUR_DAGS = {"dag.tags.name": ["customerio"]}


def external_views() -> list[dict[str, Any]]:
    """Describe the pages to Airflow, which shows each in a frame."""
    app = f"{urlsplit(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}/customerio"
    icons = {"icon": f"{app}/static/icon.svg", "icon_dark_mode": f"{app}/static/icon-dark.svg"}
    dag = f"{app}/dags/{{DAG_ID}}"
    return [
        {
            **icons,
            "name": "Customer.io",
            "href": f"{app}/syncs",
            "destination": "nav",
            "url_route": "customerio",
            "nav_top_level": True,
        },
        {
            **icons,
            "name": "Imports",
            "href": dag,
            "destination": "dag",
            "url_route": "customerio-imports",
            "applies_to": _OUR_DAGS,
        },
        {
            **icons,
            "name": "Import",
            "href": f"{dag}/runs/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "customerio-import",
            "applies_to": _OUR_DAGS,
        },
    ]
