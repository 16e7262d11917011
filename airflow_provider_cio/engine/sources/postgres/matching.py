"""Conditions that find rows by the texts of their identifiers, if possible with an index."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg import sql

from airflow_provider_cio.engine.sources.column import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.sources.postgres.types import PostgresColumn
    from airflow_provider_cio.engine.sources.protocol import Match

#: Integers that fit into 64 bits in any case.
_INTEGER = re.compile("-?[0-9]{1,18}", re.ASCII).fullmatch
_DECIMAL = re.compile("-?[0-9]{1,150}([.][0-9]{1,150})?", re.ASCII).fullmatch
_TRUE = sql.SQL("true")


def matching_condition(
    columns: Sequence[PostgresColumn], names: Sequence[sql.Identifier], matching: Sequence[Match]
) -> sql.Composable:
    """Return a condition that is true for each row that has one of the texts in its column.

    It can be true for other rows too: the text of a value in Postgres is not always the text that is sent.

    Args:
        columns: The columns of the query.
        names: The names of the columns in the condition.
        matching: What to look for. Without it, the condition is true for all rows.
    """
    found = [
        _condition(column, name, match)
        for match in matching
        for column, name in zip(columns, names, strict=True)
        if column.name == match.column
    ]
    return sql.SQL(" OR ").join(found) if found else _TRUE


def _condition(column: PostgresColumn, name: sql.Identifier, match: Match) -> sql.Composable:
    if column.array or column.kind not in (Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.FORMATTED):
        return _TRUE
    if match.ignore_case:
        texts = sorted({text.lower() for text in match.texts})
        return sql.SQL("lower({}::pg_catalog.text) = ANY({}::pg_catalog.text[])").format(name, texts)
    if column.kind is Kind.INTEGER:
        numbers = sorted({int(text) for text in match.texts if _INTEGER(text)})
        return sql.SQL("{} = ANY({}::pg_catalog.int8[])").format(name, numbers)
    if column.kind is Kind.DECIMAL:
        decimals = sorted({text for text in match.texts if _DECIMAL(text)})
        return sql.SQL("{} = ANY({}::pg_catalog.numeric[])").format(name, decimals)
    if column.declared_type == "uuid":
        uuids = sorted({text for text in match.texts if _is_uuid(text)})
        return sql.SQL("{} = ANY({}::pg_catalog.uuid[])").format(name, uuids)
    return sql.SQL("{}::pg_catalog.text = ANY({}::pg_catalog.text[])").format(name, sorted(match.texts))


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
