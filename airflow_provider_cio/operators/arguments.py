"""Check the arguments of the operator when a DAG's file is parsed, before any run."""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine.outcome.guards import GUARD_NAMES, guard_problem
from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.queries import QUERY_ARGUMENTS
from airflow_provider_cio.settings import (
    MAX_DURATION_SECONDS,
    MAX_NAME_LENGTH,
    MAX_STATEMENT_TIMEOUT_SECONDS,
    OBJECT_TYPE_ID_PATTERN,
)
from airflow_provider_cio.state.names import is_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_matches_object_type = re.compile(OBJECT_TYPE_ID_PATTERN).fullmatch
#: The values of arguments that have a fixed set of them.
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "identify_by": ("id", "email", None),
    "relationships_identify_by": ("id", "email"),
    "nulls": ("remove", "skip"),
    "failed_rows": ("hold", "retry"),
    "timestamps": ("unix", "iso"),
}
#: The arguments that hold an object type id.
_OBJECT_TYPE_ARGUMENTS = ("object_type_id", "relationships_object_type_id")
#: The arguments in seconds: the smallest value, the largest value, and whether None is valid.
_SECONDS = {
    "overlap": (0, MAX_DURATION_SECONDS, True),
    "max_lookback": (0, MAX_DURATION_SECONDS, False),
    "statement_timeout": (1, MAX_STATEMENT_TIMEOUT_SECONDS, True),
}
#: Larger integers change in clients that read JSON numbers as floating point.
_MAX_SEGMENT_ID = 2**53
#: Much longer than the names that people give to segments; it keeps requests and messages short.
_MAX_SEGMENT_NAME_LENGTH = 500
#: The most characters of a wrong value that a message quotes.
_MAX_QUOTED = 60


class ArgumentError(ConfigurationError, ValueError):
    """An argument of the operator is not valid."""


def check_names(arguments: Mapping[str, Any]) -> None:
    """Check the names of the workspace and the sync.

    Args:
        arguments: The arguments of the operator by name.

    Raises:
        ArgumentError: A name is not valid.
    """
    for name in ("workspace", "sync_name"):
        if not _is_text(value := arguments[name]) or not is_name(value):
            raise _not_valid(
                name, value, f"use 1 to {MAX_NAME_LENGTH} of a-z, 0-9 and _ (templates are not rendered here)"
            )


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check all other arguments.

    Args:
        arguments: The arguments of the operator by name. A query can also be the output of another task.

    Raises:
        ArgumentError: An argument is not valid, or two arguments contradict each other.
    """
    for name, allowed in _CHOICES.items():
        _check_choice(name, arguments[name], allowed)
    for query in QUERY_ARGUMENTS:
        _check_query(query.sql, arguments[query.sql])
    _check_main_query(arguments)
    for name in _OBJECT_TYPE_ARGUMENTS:
        if (value := arguments[name]) is not None and not (_is_text(value) and _matches_object_type(value)):
            raise _not_valid(name, value, "use the number of the object type as text, such as '1'")
    _check_create(arguments)
    _check_guards(arguments["guards"])
    _check_segment(arguments["segment_id"], arguments["segment_name"])
    for name, bounds in _SECONDS.items():
        _check_seconds(name, arguments[name], *bounds)
    for name in ("postgres_conn_id", "customerio_conn_id"):
        value = arguments[name]
        if value is None and name == "customerio_conn_id":
            continue
        if not _is_text(value) or not value.strip():
            raise _not_valid(name, value, "use the id of an Airflow connection")
        if "://" in value:  # a URI may contain a password, so the message does not quote it
            raise ArgumentError(f"{name} is a URI. Use the id of an Airflow connection.")


def _check_choice(name: str, value: Any, allowed: tuple[str | None, ...]) -> None:
    if (value is None or _is_text(value)) and value in allowed:
        return
    words = [word for word in allowed if word]
    raise _not_valid(name, value, f"use {' or '.join(words)}")


def _check_query(name: str, value: Any) -> None:
    if value is None or callable(value) or hasattr(value, "resolve"):  # resolved when the task runs
        return
    if not _is_text(value):
        raise _not_valid(name, value, "use a SELECT as text, or the name of a .sql file")
    if not value.strip():
        raise ArgumentError(f"{name} is empty. Use one SELECT, or the name of a .sql file.")
    if "\0" in value:
        raise ArgumentError(f"{name} contains a NUL character, which Postgres cannot read. Remove it.")


def _check_main_query(arguments: Mapping[str, Any]) -> None:
    people, objects = (arguments[name] is not None for name in ("people_query", "objects_query"))
    if people is objects:
        if people:
            raise ArgumentError("Both people_query and objects_query are given. Give one of them.")
        raise ArgumentError("Neither people_query nor objects_query is given. Give one of them.")
    if objects:
        if arguments["object_type_id"] is None:
            raise ArgumentError(
                "objects_query needs object_type_id. Give the number of the object type as text, such as '1'."
            )
        for name in ("identify_by", "segment_id", "segment_name"):
            if arguments[name] is not None:
                raise ArgumentError(f"{name} is only valid with people_query. Remove {name}.")
    type_id = arguments["relationships_object_type_id"] or arguments["object_type_id"]
    if arguments["relationships_query"] is not None and type_id is None:
        raise ArgumentError(
            "relationships_query needs relationships_object_type_id. Give the number of the object type as"
            " text, such as '1'."
        )


def _check_create(arguments: Mapping[str, Any]) -> None:
    create = arguments["create"]
    if type(create) is not bool:
        raise _not_valid("create", create, "use True or False")
    if create:
        return
    if arguments["people_query"] is None:
        raise ArgumentError("create=False is only valid with people_query. Remove create.")
    if arguments["relationships_query"] is not None:
        raise ArgumentError(
            "create=False cannot be combined with relationships_query, because a relationship can create its"
            " person. Use another task for the relationships."
        )


def _check_guards(guards: Any) -> None:
    if guards is None:
        return
    if not isinstance(guards, dict):
        raise _not_valid("guards", guards, "use a dict, such as {'max_failed': '5%'}")
    for name, value in guards.items():
        if name not in GUARD_NAMES:
            raise ArgumentError(f"guards has an unknown key. Valid keys are {', '.join(GUARD_NAMES)}.")
        if advice := guard_problem(name, value):
            raise _not_valid(f"guards[{name!r}]", value, advice)
    if guards.get("min_rows", 0) > guards.get("max_rows", math.inf):
        raise ArgumentError("guards: min_rows cannot be larger than max_rows.")


def _check_segment(number: Any, name: Any) -> None:
    if number is not None and name is not None:
        raise ArgumentError("Both segment_id and segment_name are given. Give one of them.")
    if number is not None and not (_is_int(number) and 1 <= number <= _MAX_SEGMENT_ID):
        raise _not_valid("segment_id", number, "use the number of the segment, such as 7")
    if name is not None and not (
        _is_text(name) and name.strip() and len(name) <= _MAX_SEGMENT_NAME_LENGTH and "\0" not in name
    ):
        raise _not_valid("segment_name", name, f"use a text of 1 to {_MAX_SEGMENT_NAME_LENGTH} characters")


def _check_seconds(name: str, value: Any, smallest: int, largest: int, optional: bool) -> None:  # noqa: FBT001
    if value is None and optional:
        return
    if not (_is_int(value) and smallest <= value <= largest):
        raise _not_valid(name, value, f"use whole seconds from {smallest} to {largest}, such as 60")


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_int(value: Any) -> bool:
    return type(value) is int  # True is an int too


def _not_valid(name: str, value: Any, advice: str) -> ArgumentError:
    quoted = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    if len(quoted) > _MAX_QUOTED:
        quoted = f"{quoted[:_MAX_QUOTED]}…"
    return ArgumentError(f"{name}={quoted} is not valid: {advice}.")


def closest_name(word: str, names: Sequence[str]) -> str | None:
    """Return the name that is most similar to a mistyped word, or None if no name is similar."""
    return next(iter(difflib.get_close_matches(word.strip().lower().replace("-", "_"), names, n=1)), None)
