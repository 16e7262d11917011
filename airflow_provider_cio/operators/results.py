"""The result of a run, for other tasks and for the callbacks of its own task."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.operators.task_failures import failure_text

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_cio.engine import Summary

log = logging.getLogger(__name__)

#: Every message of ours is shorter.
_LONGEST_REASON = 2_000


def publish_result(
    context: Context,
    summary: Summary,
    *,
    report: str | None = None,
    report_url: str | None = None,
    reason: str | None = None,
    failure: BaseException | None = None,
) -> dict[str, Any]:
    """Make the summary of a run available as the XCom ``summary``, and to templates of callbacks.

    Args:
        context: The context of the run. A preview has no task instance, so it pushes no XCom.
        summary: The summary.
        report: Where the report is stored, if there is one.
        report_url: The URL under which the API server provides it.
        reason: Why the run has its status, if it did not fail.
        failure: The error that ended the run, if there is one.

    Returns:
        The summary with these, as JSON types.
    """
    result = {
        **summary.as_dict(),
        "report": report,
        "report_url": report_url or None,
        "reason": failure_text(failure)[:_LONGEST_REASON] if failure else reason,
    }
    context["summary"] = result  # type: ignore[typeddict-unknown-key]
    if "ti" in context:
        try:
            context["ti"].xcom_push("summary", result)
        except Exception as error:  # noqa: BLE001 - of the network, the API or the database
            log.warning("The XCom summary cannot be written: %s", type(error).__name__)
    return result
