"""What the operator's arguments may be, checked when a DAG's file is read rather than when it runs."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.queries import QUERY_ARGUMENTS
from airflow_provider_cio.settings import (
    MAX_DURATION_SECONDS,
    MAX_NAME_LENGTH,
    MAX_STATEMENT_TIMEOUT_SECONDS,
    NAME_PATTERN,
    OBJECT_TYPE_ID_PATTERN,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(NAME_PATTERN).fullmatch
_OBJECT_TYPE = re.compile(OBJECT_TYPE_ID_PATTERN).fullmatch
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "identify_by": ("id", "email", None),
    "relationships_identify_by": ("id", "email"),
    "nulls": ("remove", "skip"),
    "timestamps": ("unix", "iso"),
}
_OBJECT_TYPES = ("object_type_id", "relationships_object_type_id")
#: The smallest and the largest number, and whether None may be given.
_SECONDS = {
    "overlap": (0, MAX_DURATION_SECONDS, True),
    "max_lookback": (0, MAX_DURATION_SECONDS, False),
    "statement_timeout": (1, MAX_STATEMENT_TIMEOUT_SECONDS, True),
}
_LONGEST_SEGMENT_ID = 2**53
_LONGEST_SEGMENT_NAME = 500


class ArgumentError(ConfigurationError, ValueError):
    """An argument of the operator has a value that it cannot have."""


def check_names(arguments: Mapping[str, Any]) -> None:
    """Check the names of workspace and sync.

    Raises:
        ArgumentError: One cannot be used.
    """
    for name in ("workspace", "sync_name"):
        if not _is_text(value := arguments[name]) or not _NAME(value) or len(value) > MAX_NAME_LENGTH:
            raise _wrong(name, value, f"use 1 to {MAX_NAME_LENGTH} of a-z, 0-9 and _; it is not a template")


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check all other arguments. A query may also be the output of another task.

    Raises:
        ArgumentError: One has a value that it cannot have, or two contradict each other.
    """
    for name, allowed in _CHOICES.items():
        _check_choice(name, arguments[name], allowed)
    for query in QUERY_ARGUMENTS:
        _check_query(query.sql, arguments[query.sql])
    _check_main_query(arguments)
    for name in _OBJECT_TYPES:
        if (value := arguments[name]) is not None and not (_is_text(value) and _OBJECT_TYPE(value)):
            raise _wrong(name, value, "use the type's number as text, such as '1'")
    _check_create(arguments)
    _check_segment(arguments["segment_id"], arguments["segment_name"])
    for name, bounds in _SECONDS.items():
        _check_seconds(name, arguments[name], *bounds)
    for name in ("postgres_conn_id", "customerio_conn_id"):
        value = arguments[name]
        if value is None and name == "customerio_conn_id":
            continue
        if not _is_text(value) or not value.strip():
            raise _wrong(name, value, "use the id of an Airflow connection")
        if "://" in value:  # it may have a password, and is not repeated
            raise ArgumentError(f"{name} is a URI. Give the id of an Airflow connection instead.")


def _check_choice(name: str, value: Any, allowed: tuple[str | None, ...]) -> None:
    if (value is None or _is_text(value)) and value in allowed:
        return
    words = [word for word in allowed if word]
    raise _wrong(name, value, f"use {' or '.join(words)}")


def _check_query(name: str, value: Any) -> None:
    if value is None or callable(value) or hasattr(value, "resolve"):  # resolved when the task runs
        return
    if not _is_text(value):
        raise _wrong(name, value, "use the text of a SELECT, or the name of a .sql file")
    if not value.strip():
        raise ArgumentError(f"{name} is empty. Give one SELECT, or the name of a .sql file.")
    if "\0" in value:
        raise ArgumentError(f"{name} contains a NUL character, which Postgres cannot read. Remove it.")


def _check_main_query(arguments: Mapping[str, Any]) -> None:
    people, objects = (arguments[name] is not None for name in ("people_query", "objects_query"))
    if people is objects:
        given = "both" if people else "neither"
        raise ArgumentError(f"Give people_query or objects_query, one of the two; {given} is given.")
    if objects:
        if arguments["object_type_id"] is None:
            raise ArgumentError("objects_query needs object_type_id: the type's number as text, such as '1'.")
        for name in ("identify_by", "segment_id", "segment_name"):
            if arguments[name] is not None:
                raise ArgumentError(f"{name} is for people, and there is no people_query. Remove {name}.")
    type_id = arguments["relationships_object_type_id"] or arguments["object_type_id"]
    if arguments["relationships_query"] is not None and type_id is None:
        raise ArgumentError("relationships_query needs relationships_object_type_id, such as '1'.")


def _check_create(arguments: Mapping[str, Any]) -> None:
    create = arguments["create"]
    if type(create) is not bool:
        raise _wrong("create", create, "use True or False")
    if create:
        return
    if arguments["people_query"] is None:
        raise ArgumentError("create=False is for people, and there is no people_query. Remove create.")
    if arguments["relationships_query"] is not None:
        raise ArgumentError(
            "create=False cannot be combined with relationships_query, because a relationship can create its"
            " person. Use another task for the relationships."
        )


def _check_segment(number: Any, name: Any) -> None:
    if number is not None and name is not None:
        raise ArgumentError("Give segment_id or segment_name, one of the two; both are given.")
    if number is not None and not (_is_int(number) and 1 <= number <= _LONGEST_SEGMENT_ID):
        raise _wrong("segment_id", number, "use the segment's number, such as 7")
    if name is not None and not (
        _is_text(name) and name.strip() and len(name) <= _LONGEST_SEGMENT_NAME and "\0" not in name
    ):
        raise _wrong("segment_name", name, f"use a text of 1 to {_LONGEST_SEGMENT_NAME} characters")


def _check_seconds(name: str, value: Any, smallest: int, largest: int, optional: bool) -> None:  # noqa: FBT001
    if value is None and optional:
        return
    if not (_is_int(value) and smallest <= value <= largest):
        raise _wrong(name, value, f"use whole seconds from {smallest} to {largest}, such as 60")


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_int(value: Any) -> bool:
    return type(value) is int  # True is an int too


def _wrong(name: str, value: Any, advice: str) -> ArgumentError:
    shown = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    if len(shown) > 60:  # noqa: PLR2004 - as much as a line has room for
        shown = f"{shown[:60]}…"
    return ArgumentError(f"{name}={shown} is not valid: {advice}.")


def suggestion(word: str, allowed: list[str]) -> str:
    """Suggest which word was meant, or list the words that are allowed."""
    close = difflib.get_close_matches(word.strip().lower().replace("-", "_"), allowed, n=1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(allowed)}."
