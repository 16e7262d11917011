"""What is allowed in a spec and probably not meant: warnings, which only `validate` looks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_cio.specs.sql import SqlFault, limit_of
from airflow_provider_cio.specs.templates import LINES, sql_of, uses_last_sync_time
from airflow_provider_cio.state.names import last_sync_time_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.specs.model import SyncSpec

#: A date is midnight: it is before every time of its day, also where it is from that day.
_DATE_WITH_TIME = re.compile(
    r"(?:::\s*date|\bAS\s+date\s*\))\s*>=?\s*to_timestamp\s*\(\s*\{\{[^{}]*\blast_sync_time\b[^{}]*\}\}\s*\)"
    r"(?!\s*::\s*date)",
    re.IGNORECASE,
)


def query_advice(query: str) -> Iterator[SqlFault]:
    """Find what makes a query, which has no mistakes, miss rows."""
    if not uses_last_sync_time(query):
        return
    sql = sql_of(query)
    if sql and (found := limit_of(sql)):
        message = (
            f"{found.message} together with last_sync_time: the rows beyond it are lost, because the next run"
            f" reads changes after them. Remove {found.message}"
        )
        yield found._replace(message=message)
    for compared in _DATE_WITH_TIME.finditer(query):
        before = LINES(query[: compared.start()])
        yield SqlFault(
            len(before),
            len(before[-1]) + 1,
            len(LINES(compared.group())[0]),
            "a date is compared with a time of day, so that changes of the same day are missed. Compare with"
            " to_timestamp({{ last_sync_time }})::date",
        )


def masked_name(spec: SyncSpec) -> str | None:
    """Name the key, `name` or `workspace`, for which Airflow shows `***` in place of the last sync time."""
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key  # noqa: PLC0415 - for `validate` only

    if not should_hide_value_for_key(last_sync_time_key(spec.workspace, spec.name)):
        return None
    return "workspace" if should_hide_value_for_key(spec.workspace) else "name"
