"""The columns of a query: which types Postgres gives them, and the casts with which they are read.

A type that has a JSON form of its own is read in binary. Every other type is cast to text in the query, so
that its text looks exactly as in a session of the same role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.postgres import types as postgres_types

from airflow_provider_cio.engine.sources.column import Column, Kind
from airflow_provider_cio.engine.sources.postgres.truncated_names import names_before_truncation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

#: The types that are read in binary, alone or in arrays, and what their values become.
NATIVE_TYPES: dict[str, Kind] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name"), Kind.TEXT),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), Kind.INTEGER),
    **dict.fromkeys(("float4", "float8"), Kind.FLOAT),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), Kind.TIME),
    **dict.fromkeys(("json", "jsonb"), Kind.JSON),
    **dict.fromkeys(("bytea", "inet"), Kind.OTHER),
    "bool": Kind.BOOLEAN,
    "numeric": Kind.DECIMAL,
    "uuid": Kind.FORMATTED,
}
_NATIVE_INFOS = [postgres_types[name] for name in NATIVE_TYPES]
_NATIVE_OIDS = {oid for info in _NATIVE_INFOS for oid in (info.oid, info.array_oid)}
_NATIVE_NAMES = {info.oid: info.name for info in _NATIVE_INFOS}
#: Other built-in types whose text can hold any words. The rest of them have a format of their own, such as
#: ``interval``. Enums and the types of extensions are not built in, and can hold any words.
_TEXT_TYPES = frozenset({'"char"', "bit", "varbit"})
_PADDED = "bpchar"

_NAIVE = postgres_types["timestamp"]
#: Names of time zones in which a naive timestamp is already in UTC.
_UTC = frozenset(
    {"UTC", "UCT", "Etc/UTC", "Etc/UCT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu", "GMT", "Etc/GMT"}
)

#: Converts a naive timestamp with the session's time zone. At both ends of Postgres's calendar the offset of
#: the zone would overflow, so UTC is used there.
_NAIVE_TO_MOMENT: LiteralString = """
    CASE WHEN {0} BETWEEN timestamp '4713-01-03 BC' AND timestamp '294276-12-30'
    THEN {0}::pg_catalog."timestamptz" ELSE {0} AT TIME ZONE 'UTC' END
"""

#: For each type: the type of its elements if it is an array, and the base type if that is a domain.
_DESCRIBE_TYPES = """
    WITH RECURSIVE described AS (
        SELECT t.oid, coalesce(e.oid, t.oid) AS held, e.oid IS NOT NULL AS is_array
        FROM pg_catalog.pg_type t
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
        WHERE t.oid = ANY(%s)
        UNION ALL
        SELECT described.oid, d.typbasetype, is_array
        FROM described JOIN pg_catalog.pg_type d ON d.oid = held AND d.typtype = 'd'
    )
    SELECT described.oid, held, is_array, pg_catalog.format_type(described.oid, NULL)
    FROM described JOIN pg_catalog.pg_type t ON t.oid = held AND t.typtype <> 'd'
"""


@dataclass(frozen=True)
class PostgresColumn(Column):
    """A column of a Postgres query.

    Args:
        cast: A template with which the query casts the column, such as ``{}::pg_catalog.text``; empty where
            no cast is needed.
    """

    cast: LiteralString = ""


def is_utc(time_zone: str) -> bool:
    """Return whether naive timestamps are in UTC in a session with this time zone."""
    return time_zone in _UTC


def describe_columns(
    connection: psycopg.Connection[Any], description: Sequence[psycopg.Column], query: str, time_zone: str
) -> list[PostgresColumn]:
    """Describe the columns of a query.

    Args:
        connection: The connection on which the query was opened.
        description: The columns, as the cursor of the query describes them.
        query: The query, which contains the names as its author wrote them.
        time_zone: The session's time zone, with which naive timestamps are converted.
    """
    found = connection.execute(_DESCRIBE_TYPES, [[column.type_code for column in description]])
    types = {oid: (held, array, declared) for oid, held, array, declared in found}
    written_names = names_before_truncation(query, [column.name for column in description])
    columns = []
    for column in description:
        held, array, declared = types[column.type_code]
        cast: LiteralString = ""
        if held == _NAIVE.oid and not is_utc(time_zone):
            cast = "{}" + _cast("timestamptz", array=True) if array else _NAIVE_TO_MOMENT
        elif column.type_code not in _NATIVE_OIDS:
            cast = "{}" + _cast(_NATIVE_NAMES.get(held, "text"), array=array)
        columns.append(
            PostgresColumn(
                column.name,
                kind_of(_NATIVE_NAMES.get(held), declared),
                array,
                declared,
                padded=_NATIVE_NAMES.get(held) == _PADDED,
                truncated_from=written_names.get(column.name, ()),
                cast=cast,
            )
        )
    return columns


def kind_of(native: str | None, declared: str) -> Kind:
    """Return what the values of a type become.

    Args:
        native: The name of the type if it is read in binary, else None.
        declared: Postgres's name of the type in the query.
    """
    if native:
        return NATIVE_TYPES[native]
    built_in = postgres_types.get(declared.removesuffix("[]"))
    return Kind.FORMATTED if built_in and built_in.name not in _TEXT_TYPES else Kind.TEXT


def _cast(name: str, *, array: bool) -> LiteralString:
    """Write a cast to one of the native types."""
    casts: dict[str, LiteralString] = {"text": "::pg_catalog.text"}
    for native in _NATIVE_NAMES.values():
        casts[native] = f'::pg_catalog."{native}"'
    return casts[name] + "[]" if array else casts[name]
