"""The rules for columns, checked once per query, before anything is sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from psycopg.postgres import types as postgres_types

from airflow_provider_cio.engine.sources.lexemes import identifiers_of
from airflow_provider_cio.engine.sources.postgres.values import FRACTIONS, INTEGERS, TEXTS
from airflow_provider_cio.errors import QueryError
from airflow_provider_cio.track.limits import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_provider_cio.engine.sources import Column

#: Attributes that steer the API instead of being set. Names are case-sensitive: `CIO_ID` is an ordinary one.
_CONTROL_NAMES = frozenset({"cio_id", "_update", "_timestamp"})
#: `anonymous_id` merges the activity of an anonymous visitor into the person, which cannot be undone.
#: Customer.io writes the other one itself.
RESERVED_OF_PEOPLE = _CONTROL_NAMES | {"anonymous_id", "_created_in_customerio_at"}
#: Names that Customer.io reserves for what identifies an object and for its relationships.
RESERVED_OF_OBJECTS = _CONTROL_NAMES | {
    "cio_object_id",
    "objectId",
    "object_type_id",
    "relationship",
    "_relationship",
}

#: What Postgres calls a column that has no name.
_UNNAMED = "?column?"

#: Bytes that a database keeps of a name: Postgres 63; Redshift, and a Postgres built for longer names, 127.
_NAME_BYTES = (63, 127)
#: A character of UTF-8 has at most 4 bytes, so a name that was cut off within one is up to 3 bytes shorter.
_SHORTEST_CUT = 60
#: The name that a message proposes: long enough to be recognized, and short enough to be kept.
_PROPOSED_CHARACTERS = 15
#: Types that can hold an e-mail address.
_ADDRESSES = TEXTS - {"uuid"}
#: The built-in types that arrive as text and may hold words for true and false.
_BOOLEAN_TEXTS = frozenset({"text", "varchar", "bpchar", "name", '"char"', "bit", "varbit"})


def check_columns(
    sql: str,
    columns: Sequence[Column],
    *,
    identifiers: Collection[str],
    required: Sequence[Collection[str]],
    reserved: Collection[str],
    flag: str | None = None,
) -> None:
    """Refuse columns that Customer.io would misread.

    Args:
        sql: The query, which tells the names that its author gave.
        columns: The columns of the query.
        identifiers: Columns that name a person or an object.
        required: Groups of columns; of each group at least one has to be there.
        reserved: Names that an attribute must not have.
        flag: The column that is true or false and tells what to do with a row.

    Raises:
        QueryError: Names every column at fault and the ``AS`` that mends it.
    """
    meant = {*identifiers, flag} if flag else {*identifiers}
    faults = [
        *_too_many(columns),
        *_repeated(columns),
        *_cut_off(columns, sql),
        *(fault for column in columns for fault in _misnamed(column, meant, reserved)),
        *(fault for column in columns if column.name in identifiers for fault in _no_identifier(column)),
        *(fault for column in columns if column.name == flag for fault in _never_true_or_false(column)),
    ]
    if not faults:
        names = {column.name for column in columns}
        faults = [_missing(group) for group in required if not names.intersection(group)]
    if faults:
        raise QueryError(
            "The query's columns cannot be used:\n" + "\n".join(f"  - {fault}" for fault in faults)
        )


def _missing(group: Collection[str]) -> str:
    return (
        f"no column {' or '.join(group)}: rename the one that identifies a row, such as"
        f" SELECT person_key AS {next(iter(group))}"
    )


def _too_many(columns: Sequence[Column]) -> list[str]:
    if len(columns) <= ATTRIBUTES:
        return []
    return [f"{len(columns)} columns, but Customer.io takes {ATTRIBUTES} at most: select fewer"]


def _repeated(columns: Sequence[Column]) -> list[str]:
    counts = Counter(column.name for column in columns)
    return [
        f'"{name}" is the name of {count} columns: give each its own, such as "{name}" AS "{name}_2"'
        for name, count in counts.items()
        if count > 1 and name != _UNNAMED
    ]


def _cut_off(columns: Sequence[Column], sql: str) -> list[str]:
    """Find names of which the database has kept the beginning only."""
    long_names = {column.name for column in columns if len(column.name.encode()) >= _SHORTEST_CUT}
    if not long_names:
        return []
    return [
        f'"{kept}" is only the beginning of "{written}", because the database keeps {limit} bytes of a name:'
        f' give the column a shorter one, such as AS "{written[:_PROPOSED_CHARACTERS].strip()}"'
        for written in dict.fromkeys(identifiers_of(sql))
        for limit in _NAME_BYTES
        for kept in long_names.intersection(_beginnings(written, limit))
    ]


def _beginnings(name: str, limit: int) -> set[str]:
    """Cut a name as a database does, in UTF-8 or in an encoding with one byte a character."""
    return {name.encode()[:limit].decode(errors="ignore"), name[:limit]} - {name}


def _misnamed(column: Column, meant: Collection[str], reserved: Collection[str]) -> list[str]:
    name = column.name
    if name == _UNNAMED:
        return ["a column has no name: give it one, such as count(*) AS orders"]
    if name in reserved:
        return [
            f'"{name}" is reserved by Customer.io: rename it, such as "{name}" AS "{name.strip("_")}_value"'
        ]
    if name not in meant and (close := name.strip().lower()) in meant:
        return [f'"{name}" is not {close}: "{name}" AS {close}']
    if any(character in name for character in '"\\') or not name.isprintable():
        return [f"{name!r} holds a quote, a backslash or a control character: rename it with AS"]
    return []


def _no_identifier(column: Column) -> list[str]:
    name = column.name
    is_email = name == "email"
    if not column.array and column.type in (_ADDRESSES if is_email else TEXTS | INTEGERS | {"numeric"}):
        return []
    if is_email:
        return [f"email has the type {_type(column)}, which holds no addresses: select a text AS email"]
    return [f"{name} has the type {_type(column)}, which cannot identify a row: {name}::text AS {name}"]


def _never_true_or_false(column: Column) -> list[str]:
    """Find a type of which no value is true or false; of the others each value is judged in its row."""
    # Enums and types of extensions have text of their own.
    shown = postgres_types.get(column.postgres_type or column.type)
    texts = column.type in TEXTS and (shown is None or shown.name in _BOOLEAN_TEXTS)
    if not column.array and (texts or column.type in INTEGERS | FRACTIONS | {"bool"}):
        return []
    name = column.name
    fault = (
        f"{name} has the type {_type(column)}, which is never true or false: select a condition,"
        f" such as {name}_at IS NOT NULL AS {name}"
    )
    return [fault]


def _type(column: Column) -> str:
    return column.postgres_type or (f"{column.type}[]" if column.array else column.type)
