"""The link from a task to the report of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey


class ReportLink(BaseOperatorLink):
    """A link to the report of a run. It is empty when no row failed."""

    name = "Failed rows"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - part of Airflow's interface
        """Return the URL of the report. Airflow calls this at the end of the task, in its process."""
        return str(getattr(operator, "report_url", ""))  # a mapped task that never ran has no such attribute


def report_url(context: Context) -> str:
    """Return the URL under which the API server provides the report of a run."""
    ti = context["ti"]
    query = urlencode({"run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index})
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/customerio/reports/{quote(ti.dag_id, safe='')}?{query}"
