"""Warnings about valid specs that are probably mistakes. Only `validate` looks for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_cio.specs.problems import QueryProblem
from airflow_provider_cio.specs.sql import limit_of
from airflow_provider_cio.specs.templates import LINES, sql_of, uses_last_sync_time
from airflow_provider_cio.state.names import last_sync_time_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.specs.model import SyncSpec

#: Matches a comparison of a date, which is the midnight of its day, with a time of a day.
_DATE_WITH_TIME = re.compile(
    r"(?:::\s*date|\bAS\s+date\s*\))\s*>=?\s*to_timestamp\s*\(\s*\{\{[^{}]*\blast_sync_time\b[^{}]*\}\}\s*\)"
    r"(?!\s*::\s*date)",
    re.IGNORECASE,
)


def query_advice(query: str) -> Iterator[QueryProblem]:
    """Yield what makes a valid query miss rows."""
    if not uses_last_sync_time(query):
        return
    sql = sql_of(query)
    if sql and (found := limit_of(sql)):
        message = (
            f"{found.message} together with last_sync_time loses the rows beyond it, because the next run"
            f" reads only later changes: remove {found.message}"
        )
        yield found._replace(message=message)
    for compared in _DATE_WITH_TIME.finditer(query):
        before = LINES(query[: compared.start()])
        yield QueryProblem(
            len(before),
            len(before[-1]) + 1,
            len(LINES(compared.group())[0]),
            "a date is compared with a time of day, so changes of the same day are missed: compare it with"
            " to_timestamp({{ last_sync_time }})::date",
        )


def masked_key(spec: SyncSpec) -> str | None:
    """Return the key, `name` or `workspace`, that makes Airflow mask the last sync time as a secret."""
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key  # noqa: PLC0415 - for `validate` only

    if not should_hide_value_for_key(last_sync_time_key(spec.workspace, spec.name)):
        return None
    return "workspace" if should_hide_value_for_key(spec.workspace) else "name"
