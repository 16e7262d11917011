"""The rules for columns, checked once per query, before anything is sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.values import INTEGERS, TEXTS
from airflow_provider_cio.errors import QueryError
from airflow_provider_cio.track.limits import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_provider_cio.engine.source import Column

#: Names by which the API is steered instead of an attribute set.
CONTROL_NAMES = frozenset({"cio_id", "_update", "_timestamp"})
#: What Postgres calls a column that has no name.
_UNNAMED = "?column?"


def check_columns(
    columns: Sequence[Column],
    *,
    identifiers: Collection[str],
    one_of: Collection[str],
    flags: Collection[str] = (),
) -> None:
    """Refuse columns that Customer.io would misread.

    Args:
        columns: The columns of the query.
        identifiers: Columns that name a person or an object.
        one_of: Those of which at least one has to be there.
        flags: Columns that say what to do with a row.

    Raises:
        QueryError: Names every column at fault and the ``AS`` that mends it.
    """
    faults = [
        *_too_many(columns),
        *_repeated(columns),
        *(fault for column in columns for fault in _misnamed(column, {*identifiers, *flags})),
        *(fault for column in columns for fault in _mistyped(column, identifiers)),
    ]
    if not faults and not any(column.name in one_of for column in columns):
        faults.append(
            f"no column {' or '.join(one_of)}: rename the one that identifies a row, such as"
            f" SELECT person_key AS {next(iter(one_of))}"
        )
    if faults:
        raise QueryError(
            "The query's columns cannot be used:\n" + "\n".join(f"  - {fault}" for fault in faults)
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


def _misnamed(column: Column, meant: Collection[str]) -> list[str]:
    name = column.name
    if name == _UNNAMED:
        return ["a column has no name: give it one, such as count(*) AS orders"]
    if name in CONTROL_NAMES:
        return [f'"{name}" would steer the API: "{name}" AS "{name.strip("_")}_value"']
    if name not in meant and name.lower() in meant:
        return [f'"{name}" is not {name.lower()}: "{name}" AS {name.lower()}']
    if any(character in name for character in '"\\') or not name.isprintable():
        return [f"{name!r} holds a quote, a backslash or a control character: rename it with AS"]
    return []


def _mistyped(column: Column, identifiers: Collection[str]) -> list[str]:
    if column.name not in identifiers:
        return []
    if not column.array and column.type in TEXTS | INTEGERS | {"numeric"}:
        return []
    kind = f"{column.type}[]" if column.array else column.type
    return [f"{column.name} is {kind}, which has no one text: {column.name}::text AS {column.name}"]
