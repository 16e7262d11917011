"""The rules for columns. They are checked once per query, before anything is sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.mapping.operations import UPDATE_ONLY
from airflow_provider_cio.engine.sources.column import Kind
from airflow_provider_cio.errors import QueryError
from airflow_provider_cio.track.limits import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_provider_cio.engine.sources import Column

#: Attributes that control the API and are not stored. Names are case-sensitive: `CIO_ID` is an ordinary name.
_CONTROL_NAMES = frozenset({"cio_id", UPDATE_ONLY, "_timestamp"})
#: `anonymous_id` merges the activity of an anonymous visitor into the person, which cannot be undone.
#: Customer.io sets `_created_in_customerio_at` itself.
RESERVED_FOR_PEOPLE = _CONTROL_NAMES | {"anonymous_id", "_created_in_customerio_at"}
#: Names that Customer.io reserves for the identifiers of an object and for its relationships.
RESERVED_FOR_OBJECTS = _CONTROL_NAMES | {
    "cio_object_id",
    "objectId",
    "object_type_id",
    "relationship",
    "_relationship",
}

#: Postgres's name for a column without a name.
_UNNAMED = "?column?"

#: The length of the name that a message proposes: long enough to be recognised, and short enough to be kept.
_PROPOSED_CHARACTERS = 15

_IDENTIFIER_KINDS = (Kind.TEXT, Kind.FORMATTED, Kind.INTEGER, Kind.DECIMAL)
_BOOLEAN_KINDS = (Kind.TEXT, Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL, Kind.BOOLEAN)


def check_columns(
    columns: Sequence[Column],
    *,
    identifiers: Collection[str],
    required: Sequence[Collection[str]],
    reserved: Collection[str],
    flag: str | None = None,
) -> None:
    """Refuse columns that Customer.io would misread.

    Args:
        columns: The columns of a query's result.
        identifiers: The names of columns that identify a person or an object.
        required: Groups of names. The query needs at least one column of each group.
        reserved: Names that an attribute cannot have.
        flag: The name of a boolean column that decides what a row does.

    Raises:
        QueryError: Lists every unusable column, with the ``AS`` that fixes it.
    """
    special = {*identifiers, flag} if flag else {*identifiers}
    problems = [
        *_too_many(columns),
        *_repeated(columns),
        *_truncated(columns),
        *(problem for column in columns for problem in _bad_name(column, special, reserved)),
        *(problem for column in columns if column.name in identifiers for problem in _bad_identifier(column)),
        *(problem for column in columns if column.name == flag for problem in _bad_flag(column)),
    ]
    if not problems:
        names = {column.name for column in columns}
        problems = [_missing(group) for group in required if not names.intersection(group)]
    if problems:
        raise QueryError(
            "The query's columns cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )


def _missing(group: Collection[str]) -> str:
    return (
        f"there is no column {' or '.join(group)}: rename the column that identifies a row, such as"
        f" SELECT person_key AS {next(iter(group))}"
    )


def _too_many(columns: Sequence[Column]) -> list[str]:
    if len(columns) <= ATTRIBUTES:
        return []
    return [f"there are {len(columns)} columns, and Customer.io accepts {ATTRIBUTES}: select fewer"]


def _repeated(columns: Sequence[Column]) -> list[str]:
    counts = Counter(column.name for column in columns)
    return [
        f'"{name}" is the name of {count} columns: rename all but one, such as "{name}" AS "{name}_2"'
        for name, count in counts.items()
        if count > 1 and name != _UNNAMED
    ]


def _truncated(columns: Sequence[Column]) -> list[str]:
    problems = (
        f'"{column.name}" is "{written}" truncated by the database: give the column a shorter name, such as'
        f' AS "{written[:_PROPOSED_CHARACTERS].strip()}"'
        for column in columns
        for written in column.truncated_from
    )
    return list(dict.fromkeys(problems))


def _bad_name(column: Column, special: Collection[str], reserved: Collection[str]) -> list[str]:
    name = column.name
    if name == _UNNAMED:
        return ["a column has no name: name it with AS, such as count(*) AS orders"]
    if name in reserved:
        return [
            f'"{name}" is reserved by Customer.io: rename it, such as "{name}" AS "{name.strip("_")}_value"'
        ]
    if name not in special and (close := name.strip().lower()) in special:
        return [f'"{name}" differs from {close} in case or spaces: "{name}" AS {close}']
    if any(character in name for character in '"\\') or not name.isprintable():
        return [f"{name!r} contains a quote, a backslash or a control character: rename it with AS"]
    return []


def _bad_identifier(column: Column) -> list[str]:
    name = column.name
    allowed: Collection[Kind]
    if name == "email":
        allowed, reason = (Kind.TEXT,), "which cannot hold an address: select a text AS email"
    else:
        allowed, reason = _IDENTIFIER_KINDS, f"which cannot identify a row: {name}::text AS {name}"
    if column.kind in allowed and not column.array:
        return []
    return [f"{name} has the type {column.declared_type}, {reason}"]


def _bad_flag(column: Column) -> list[str]:
    """Refuse a type that has no boolean values. Values of other types are checked row by row."""
    if column.kind in _BOOLEAN_KINDS and not column.array:
        return []
    name = column.name
    message = (
        f"{name} has the type {column.declared_type}, which is never true or false: select a condition,"
        f" such as {name}_at IS NOT NULL AS {name}"
    )
    return [message]
