"""Links from a task to the page of its run, and to its workspace in Customer.io."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class ImportLink(BaseOperatorLink):
    """A link to the page of the run. Users who may not see plugins reach the pages through it."""

    name = "Import"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - part of Airflow's interface
        """Return the URL of the page."""
        base = conf.get("api", "base_url", fallback="").rstrip("/")
        return f"{base}/customerio/dags/{quote(ti_key.dag_id, safe='')}/runs/{quote(ti_key.run_id, safe='')}"


class WorkspaceLink(BaseOperatorLink):
    """A link to the workspace in Customer.io. It is empty for a dry run, an emulator and a proxy."""

    name = "Customer.io workspace"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - part of Airflow's interface
        """Return the URL of the workspace. Airflow calls this at the end of the task, in its process."""
        return str(getattr(operator, "workspace_url", ""))  # a mapped task that never ran has none
