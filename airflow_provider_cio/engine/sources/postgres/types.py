"""The columns of a query: what their types are, and the casts with which they are read.

A type that has a JSON form of its own is read in binary. All others are read as text, by a cast in the query,
so that the text is the one which a session of the role shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.postgres import types as postgres_types

from airflow_provider_cio.engine.sources.postgres.values import NATIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

_NATIVE_OIDS = {oid for name in NATIVE for oid in (postgres_types[name].oid, postgres_types[name].array_oid)}
_NAMES = {postgres_types[name].oid: name for name in NATIVE}
#: A real is read as the double of the same digits.
_ARRIVES_AS = {**_NAMES, postgres_types["float4"].oid: "float8"}
_NAIVE = postgres_types["timestamp"]

#: Names of the time zone in which a naive timestamp is the moment that it shows.
_UTC = frozenset(
    {"UTC", "UCT", "Etc/UTC", "Etc/UCT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu", "GMT", "Etc/GMT"}
)

#: The moment that a naive timestamp means in the session's time zone. At the ends of what Postgres can count,
#: the zone's offset would lead beyond them.
_MOMENT_OF_NAIVE: LiteralString = """
    CASE WHEN {0} BETWEEN timestamp '4713-01-03 BC' AND timestamp '294276-12-30'
    THEN {0}::pg_catalog."timestamptz" ELSE {0} AT TIME ZONE 'UTC' END
"""

#: What a type holds: for an array that is its elements' type, for a domain its base type.
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
class Column:
    """A column of a query's result.

    Args:
        name: As the query gives it.
        type: Postgres's name of the type its values have when they arrive here.
        array: Whether it holds arrays of that type.
        postgres_type: Postgres's name of the type that it has in the query.
        cast: How the query has to cast it, ``{}``, so that it arrives as that; empty for no cast.
    """

    name: str
    type: str
    array: bool = False
    postgres_type: str = ""
    cast: LiteralString = ""


def is_utc(time_zone: str) -> bool:
    """Tell whether naive timestamps of a session are in UTC."""
    return time_zone in _UTC


def describe_columns(
    connection: psycopg.Connection[Any], description: Sequence[psycopg.Column], time_zone: str
) -> list[Column]:
    """Describe the columns of a query.

    Args:
        connection: Knows the types.
        description: The columns, as the query's cursor gives them.
        time_zone: The session's. In others than UTC, Postgres finds the moment that a naive timestamp means.
    """
    found = connection.execute(_DESCRIBE_TYPES, [[column.type_code for column in description]])
    types = {oid: (held, array, shown) for oid, held, array, shown in found}
    columns = []
    for described in description:
        held, array, shown = types[described.type_code]
        arrives_as = _ARRIVES_AS.get(held, "text")
        cast: LiteralString = ""
        if held == _NAIVE.oid and not is_utc(time_zone):
            arrives_as = "timestamptz"
            cast = "{}" + _cast(arrives_as, array=True) if array else _MOMENT_OF_NAIVE
        elif described.type_code not in _NATIVE_OIDS:
            cast = "{}" + _cast(_NAMES.get(held, "text"), array=array)
        columns.append(Column(described.name, arrives_as, array, shown, cast))
    return columns


def _cast(name: str, *, array: bool) -> LiteralString:
    """Write a cast. Its names are this module's own, not a query's."""
    known: dict[str, LiteralString] = {"text": "::pg_catalog.text"}
    for native in NATIVE:
        known[native] = f'::pg_catalog."{native}"'
    return known[name] + "[]" if array else known[name]
