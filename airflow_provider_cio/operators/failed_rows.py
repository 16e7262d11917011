"""Prepare a run to read the failed rows of earlier runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_cio.engine.retry import MAX_FAILED_ROWS
from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.queries import QUERY_ARGUMENTS
from airflow_provider_cio.operators.rendering import render_query
from airflow_provider_cio.specs.sql import limit_of

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_cio.engine import Summary
    from airflow_provider_cio.engine.retry import FailedRows

#: What failed rows do: hold the last sync time, or be tried again by the next runs.
FailedRowsMode = Literal["hold", "retry"]


def render_retries(
    operator: BaseOperator, failed_rows: FailedRows, context: Context, environment: jinja2.Environment
) -> None:
    """Render the queries that read failed rows again.

    Args:
        operator: The operator. Its queries are not rendered yet.
        failed_rows: The failed rows of earlier runs. Receives the queries.
        context: The context of the run. Its `last_sync_time` is changed.
        environment: Renders the queries.

    Raises:
        ConfigurationError: A query cannot be rendered.
    """
    for query in QUERY_ARGUMENTS:
        earliest = failed_rows.earliest.get(query.kind.name)
        if earliest is None:
            continue
        context["last_sync_time"] = earliest  # type: ignore[typeddict-unknown-key]
        rendered = render_query(operator, query.sql, context, environment, set())
        if rendered:
            failed_rows.queries[query.kind.name] = rendered


def check_no_limit(name: str, query: Any) -> None:
    """Check that a rendered query returns all of its rows.

    Args:
        name: The name of the argument.
        query: The query; None if there is none.

    Raises:
        ConfigurationError: The query limits its rows. Failed rows could be beyond the limit.
    """
    if query and (limit := limit_of(query)):
        raise ConfigurationError(
            f"{name}, line {limit.line}: {limit.message} cannot be used with failed_rows: retry, because"
            f" failed rows can be beyond it. Remove {limit.message}, or use failed_rows: hold."
        )


def failed_rows_message(failed_rows: FailedRows, summary: Summary, mode: FailedRowsMode, stored: int) -> str:
    """Return what happens to the failed rows of a run, and what to do.

    Args:
        failed_rows: The failed rows after the run.
        summary: The summary of the run.
        mode: The argument of the operator.
        stored: The stored last sync time, in Unix seconds.
    """
    if not failed_rows.hold_last_sync_time:
        return (
            f"{summary.rows_newly_failed} of {summary.rows_read} rows failed for the first time. Correct"
            " them as the report describes; the next runs read them again."
        )
    reason = ""
    if mode == "retry":
        reason = f", which is more than the {MAX_FAILED_ROWS:,} that a sync can retry"
    return (
        f"{summary.rows_failed} of {summary.rows_read} rows failed{reason}; the last sync time stays"
        f" {stored}. Correct the rows, then run again."
    )
