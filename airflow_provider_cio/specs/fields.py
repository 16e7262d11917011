"""The values that fields of a spec accept, each with its check."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from functools import partial
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from airflow_provider_cio.engine.outcome.guards import MAX_GUARD_ROWS, PERCENT_PATTERN, guard_problem
from airflow_provider_cio.settings import (
    MAX_DURATION_SECONDS,
    MAX_NAME_LENGTH,
    MAX_STATEMENT_TIMEOUT_SECONDS,
    NAME_PATTERN,
    OBJECT_TYPE_ID_PATTERN,
)
from airflow_provider_cio.specs.problems import URI_WITH_PASSWORD, closest, cut
from airflow_provider_cio.specs.schedules import checked_cron, divides_a_day, neighbours


class _Pattern(NamedTuple):
    """What a text must match, and the message for a text that does not."""

    regex: str
    message: str


_NAME = _Pattern(NAME_PATTERN, "can only have the letters a to z, digits and _")
#: Postgres cannot store a NUL. One in what Airflow keeps of a DAG would end the DAG processor, and with it
#: every DAG.
_NO_NUL = _Pattern(r"^[^\x00]*$", "cannot have the character NUL")
_OBJECT_TYPE = _Pattern(
    OBJECT_TYPE_ID_PATTERN, 'must be the number of an object type in Customer.io, as text, such as "1"'
)
#: The message for each pattern. pydantic reports the pattern that a text does not match.
PATTERN_MESSAGES = dict([_NAME, _NO_NUL, _OBJECT_TYPE])

_DURATION_PATTERN = r"^([1-9][0-9]*) (second|minute|hour|day)s?$"
_DURATION = re.compile(_DURATION_PATTERN).fullmatch
_SECONDS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_DURATION_DIGITS = 9
_LONGEST_DURATION = dt.timedelta(seconds=MAX_DURATION_SECONDS)
_LONGEST_STATEMENT = dt.timedelta(seconds=MAX_STATEMENT_TIMEOUT_SECONDS)
_SQL_FILE = re.compile(r"\S+\.sql").fullmatch
#: Every parse imports and creates each notifier, and Airflow has a row for each tag.
MAX_ENTRIES = 100


def duration_text(duration: dt.timedelta) -> str:
    """Write a duration as a spec has it, in the largest unit that fits."""
    seconds = int(duration.total_seconds())
    unit, size = next((unit, size) for unit, size in _SECONDS.items() if seconds % size == 0)
    return f"{seconds // size} {unit}{'' if seconds == size else 's'}"


def _duration(value: Any) -> dt.timedelta:
    match = _DURATION(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError("give a number and a unit, such as 90 seconds, 5 minutes, 2 hours or 1 day")
    number, unit = match.groups()
    if len(number) > _DURATION_DIGITS or int(number) * _SECONDS[unit] > MAX_DURATION_SECONDS:
        raise ValueError(f"cannot be longer than {duration_text(_LONGEST_DURATION)}")
    return dt.timedelta(seconds=int(number) * _SECONDS[unit])


def _every(value: dt.timedelta) -> dt.timedelta:
    if value > dt.timedelta(days=1):
        raise ValueError(
            'cannot be longer than 1 day: use a cron expression, such as schedule: "0 6 * * 1" for Mondays'
        )
    if value.total_seconds() % 60:
        raise ValueError("must be whole minutes, because every becomes a cron expression")
    if not divides_a_day(value):
        shorter, longer = map(duration_text, neighbours(value))
        raise ValueError(
            f"{duration_text(value)} do not divide a day, so runs would start at other times each day: use"
            f" {shorter} or {longer}"
        )
    return value


def _statement_timeout(value: dt.timedelta) -> dt.timedelta:
    if value > _LONGEST_STATEMENT:
        raise ValueError(f"cannot be longer than {duration_text(_LONGEST_STATEMENT)}, the limit of Postgres")
    return value


def _guard(name: str, value: Any) -> Any:
    if advice := guard_problem(name, value):
        raise ValueError(advice)
    return value


def _query(value: str) -> str:
    if _SQL_FILE(value):
        raise ValueError("is the name of a file: give it as query_file")
    return value


def _without_password(value: str) -> str:
    if URI_WITH_PASSWORD(value):
        raise ValueError("has a password before the @, which Airflow would display: remove it")
    return value


def _connection_id(value: str) -> str:
    if "://" in value:
        raise ValueError("is a URI: give the id of an Airflow connection instead, and put the URI there")
    return value


def _link(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:  # such as brackets that are not closed
        parts = urlsplit("")
    if not (parts.scheme and (parts.netloc or (parts.scheme == "mailto" and parts.path))):
        raise ValueError("give a URL, or mailto: and an address")
    return value


def _time_zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # `Europe` is a folder
        match = closest(value, sorted(zoneinfo.available_timezones()))
        advice = f"did you mean {match}?" if match else "give a time zone such as Europe/Berlin"
        raise ValueError(f"{cut(value)} is not a known time zone: {advice}") from None
    return value


def _as_tuple(value: Any) -> Any:
    """Turn a list of YAML into the tuple of a frozen model."""
    if not isinstance(value, list):
        return value
    if len(value) > MAX_ENTRIES:
        raise ValueError(f"has more than {MAX_ENTRIES} entries")
    return tuple(value)


AS_TUPLE = BeforeValidator(_as_tuple)

Name = Annotated[str, Field(pattern=_NAME.regex, max_length=MAX_NAME_LENGTH)]
#: The longest text that Airflow's tables can store. On Postgres a longer one would end the DAG processor.
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=_NO_NUL.regex)]
Description = Annotated[str, Field(pattern=_NO_NUL.regex)]
Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=_NO_NUL.regex)]
QueryText = Annotated[str, Field(min_length=1, pattern=_NO_NUL.regex), AfterValidator(_query)]
ConnectionId = Annotated[Text, AfterValidator(_connection_id)]
ObjectTypeId = Annotated[str, Field(pattern=_OBJECT_TYPE.regex)]
#: Airflow's columns hold up to 2,147,483,647. A larger number would end the DAG processor or the scheduler.
Count = Annotated[int, Field(ge=0, le=1000)]
RowCount = Annotated[int, Field(ge=1, le=MAX_GUARD_ROWS)]
Growth = Annotated[
    str,
    BeforeValidator(partial(_guard, "max_growth")),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN}),
]
FailedRows = Annotated[
    int | str,
    BeforeValidator(partial(_guard, "max_failed")),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": PERCENT_PATTERN}]}
    ),
]
Duration = Annotated[
    dt.timedelta,
    BeforeValidator(_duration),
    PlainSerializer(duration_text),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _DURATION_PATTERN,
            "examples": ["30 minutes", "2 hours", "1 day"],
        }
    ),
]
Every = Annotated[Duration, AfterValidator(_every)]
StatementTimeout = Annotated[Duration, AfterValidator(_statement_timeout)]
Cron = Annotated[str, Field(max_length=120), AfterValidator(checked_cron)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Uri = Annotated[Text, AfterValidator(_without_password)]
Link = Annotated[Text, AfterValidator(_without_password), AfterValidator(_link)]
