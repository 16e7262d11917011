"""What a spec may say."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from airflow_provider_cio.engine.sources.watermark import DEFAULT_MAX_LOOKBACK
from airflow_provider_cio.settings import (
    MAX_DURATION_SECONDS,
    MAX_NAME_LENGTH,
    MAX_STATEMENT_TIMEOUT_SECONDS,
    NAME_PATTERN,
    OBJECT_TYPE_ID_PATTERN,
)
from airflow_provider_cio.specs.notifications import make_notifier
from airflow_provider_cio.specs.problems import URI_WITH_PASSWORD, cut, did_you_mean
from airflow_provider_cio.specs.schedules import (
    checked_cron,
    crons_for,
    divides_a_day,
    neighbours,
    spread_offset,
)
from airflow_provider_cio.state.names import connection_id, dag_id

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier

_DURATION = re.compile(r"([1-9][0-9]*) (second|minute|hour|day)s?").fullmatch
_SECONDS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_FILE_NAME = re.compile(r"\S+\.sql").fullmatch
_DIGITS = 9
#: Each notifier is imported and made at every parse, and Airflow has a row for each tag.
_MAX_ENTRIES = 100
_EXAMPLES = "90 seconds, 5 minutes, 2 hours or 1 day"


def _duration(value: Any) -> dt.timedelta:
    """Read a number and a unit."""
    match = _DURATION(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"give a number and a unit, such as {_EXAMPLES}")
    number, unit = match.groups()
    if len(number) > _DIGITS or int(number) * _SECONDS[unit] > MAX_DURATION_SECONDS:
        raise ValueError("is longer than anybody can wait: a year is the longest")
    return dt.timedelta(seconds=int(number) * _SECONDS[unit])


def duration_text(duration: dt.timedelta) -> str:
    """Write a duration as a spec has it, in the largest unit that fits."""
    seconds = int(duration.total_seconds())
    unit, size = next((unit, size) for unit, size in _SECONDS.items() if seconds % size == 0)
    return f"{seconds // size} {unit}{'' if seconds == size else 's'}"


def _every(value: dt.timedelta) -> dt.timedelta:
    if value > dt.timedelta(days=1):
        raise ValueError(
            'longer than a day takes a cron expression, such as schedule: "0 6 * * 1" for Mondays'
        )
    if value.total_seconds() % 60:
        raise ValueError("cron, which every becomes, has whole minutes only")
    if not divides_a_day(value):
        shorter, longer = map(duration_text, neighbours(value))
        raise ValueError(
            f"{duration_text(value)} do not divide a day, so that runs would come at other times every day:"
            f" {shorter} or {longer} do"
        )
    return value


def _statement_timeout(value: dt.timedelta) -> dt.timedelta:
    if value.total_seconds() > MAX_STATEMENT_TIMEOUT_SECONDS:
        raise ValueError("is longer than Postgres can count: 24 days is the longest")
    return value


def _query(value: str) -> str:
    if _FILE_NAME(value):
        raise ValueError("is the name of a file, which belongs to query_file")
    return value


def _cron(value: str) -> str:
    return checked_cron(value)


def _uri(value: str) -> str:
    """Refuse a URI with a password: Airflow shows it."""
    if URI_WITH_PASSWORD(value):
        raise ValueError("has a password before the @, which Airflow would show: leave it out")
    return value


def _connection(value: str) -> str:
    if "://" in value:
        raise ValueError("is a URI: give the id of an Airflow connection, which holds what the URI says")
    return value


def _link(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:  # such as brackets that are not closed
        parts = urlsplit("")
    if not (parts.scheme and (parts.netloc or (parts.scheme == "mailto" and parts.path))):
        raise ValueError("give a URL, or mailto: and an address")
    return value


def _timezone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # `Europe` is a folder
        known = sorted(zoneinfo.available_timezones())
        hint = did_you_mean(value, known)
        hint = hint if "mean" in hint else "give one such as Europe/Berlin"
        raise ValueError(f"{cut(value)} is no time zone: {hint}") from None
    return value


Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME_LENGTH)]
#: Postgres stores no NUL; one in what Airflow keeps of a DAG ends the DAG processor, and with it every DAG.
_NO_NUL = r"^[^\x00]*$"
#: As long as Airflow's tables are wide: on Postgres, longer ones end the DAG processor too.
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=_NO_NUL)]
ConnectionId = Annotated[Text, AfterValidator(_connection)]
#: Airflow's columns end at 2,147,483,647: larger ones end the DAG processor, or the scheduler.
Count = Annotated[int, Field(ge=0, le=1000)]
Duration = Annotated[
    dt.timedelta,
    BeforeValidator(_duration),
    PlainSerializer(duration_text),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[1-9]\d* (second|minute|hour|day)s?$",
            "examples": ["30 minutes", "2 hours", "1 day"],
        }
    ),
]
ObjectTypeId = Annotated[str, Field(pattern=OBJECT_TYPE_ID_PATTERN)]


def _tuple(value: Any) -> Any:
    """Take YAML's lists where the models, which are never changed, have tuples."""
    if not isinstance(value, list):
        return value
    if len(value) > _MAX_ENTRIES:
        raise ValueError(f"has more than {_MAX_ENTRIES} entries")
    return tuple(value)


_TUPLE = BeforeValidator(_tuple)
Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=_NO_NUL)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Segment(_Part):
    """A manual segment, by one of the two."""

    id: int | None = Field(default=None, ge=1)
    """The segment's number."""
    name: Text | None = None
    """Its name; created when there is none. The connection then needs an App API key."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.id is None) is (self.name is None):
            raise ValueError("give id or name, one of the two")
        return self


class _Query(_Part):
    # Either of the two in a spec; when it is loaded, `query` has the text in any case.
    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(
            required=[key for key in schema["required"] if key != "query"],
            oneOf=[{"required": ["query"]}, {"required": ["query_file"]}],
        )
    )

    query: Annotated[str, Field(min_length=1, pattern=_NO_NUL), AfterValidator(_query)]
    """One SELECT; `{{ last_sync_time }}` in it is the Unix time from which to read changes."""
    query_file: Text | None = None
    """A file with the query instead, beside the spec."""


class People(_Query):
    """The people to import: a person a row, an attribute a column."""

    identify_by: Literal["id", "email"] | None = None
    """The column that names a person; by default id, and email where a row's id is NULL."""
    segment: Segment | None = None
    """The manual segment to which they are added."""


class Objects(_Query):
    """The objects to import: an object a row, named by its column `object_id`."""

    object_type_id: ObjectTypeId
    """The type of all of them: its number in Customer.io, as text."""


class Relationships(_Query):
    """The relationships to set, or to remove where the column `deleted` is true."""

    identify_by: Literal["id", "email"] = "id"
    """The column that names the person; `object_id` names the object."""
    object_type_id: ObjectTypeId | None = None
    """The type of the objects; by default that of `objects`."""


class Schedule(_Part):
    """When to run: one of the three. A text alone is a cron expression."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(type=["string", "object"], minProperties=1)
    )

    cron: Annotated[str, Field(max_length=120), AfterValidator(_cron)] | None = None
    """Five fields: minute, hour, day of month, month, day of week."""
    every: Annotated[Duration, AfterValidator(_every)] | None = None
    """A time that divides a day, such as 30 minutes, 2 hours or 1 day; from midnight on."""
    assets: Annotated[tuple[Annotated[Text, AfterValidator(_uri)], ...], _TUPLE] = ()
    """URIs of assets: run when all of them were updated."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"cron": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum(map(bool, (self.cron, self.every, self.assets))) != 1:
            raise ValueError("give a cron expression, every or assets, one of the three")
        return self


class Notifier(_Part):
    """Somebody to tell."""

    notifier: Text
    """Import path of an Airflow notifier."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What it is given; its templates know `{{ summary.rows_failed }}` and all else of the summary."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.make()
        return self

    def make(self) -> BaseNotifier:
        """Make the notifier.

        Raises:
            ValueError: There is none, or it refuses its arguments.
        """
        return make_notifier(self.notifier, self.arguments)


Notifiers = Annotated[tuple[Notifier, ...], _TUPLE]


class _Shared(_Part):
    """What `defaults.yaml` may say for all specs of its folder and the folders in it."""

    customerio_conn_id: ConnectionId | None = None
    """The connection of the workspace; by default customerio_<workspace>."""
    schedule: Schedule | None = None
    """When to run; without it only when somebody triggers it."""
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    """The time zone of the schedule."""
    spread: bool = False
    """Move a sync with `every` to a minute of its own in its interval, so that not all start at once."""
    start_date: dt.date | None = Field(default=None, strict=False)
    """No scheduled run before this day."""
    nulls: Literal["remove", "skip"] = "remove"
    """What a NULL attribute does: remove the attribute, or leave it as it was."""
    timestamps: Literal["unix", "iso"] = "unix"
    """Dates and times as Unix seconds or as ISO 8601."""
    overlap: Duration | None = None
    """How far to look back always; by default a minute, where the source hides transactions in flight."""
    max_lookback: Duration = dt.timedelta(seconds=DEFAULT_MAX_LOOKBACK)
    """How far to look back at most for a long transaction."""
    statement_timeout: Annotated[Duration, AfterValidator(_statement_timeout)] | None = None
    """How long Postgres may take for the next rows; by default as long as the server lets it."""
    execution_timeout: Duration | None = None
    """How long a run may take."""
    retries: Count = 2
    """How often Airflow tries again after a run that could not come to its end."""
    max_consecutive_failed_dag_runs: Count = 0
    """After so many failed runs in a row Airflow pauses the DAG; 0 for never."""
    owner: Text = "airflow"
    """Whom to ask; shown in Airflow."""
    owner_links: dict[Text, Annotated[Text, AfterValidator(_uri), AfterValidator(_link)]] = Field(
        default_factory=dict, max_length=_MAX_ENTRIES
    )
    """Where an owner's name leads: a URL, or mailto:."""
    tags: Annotated[tuple[Tag, ...], _TUPLE] = ()
    """Shown in Airflow, besides our own."""
    on_success: Notifiers = ()
    """Whom to tell when a run Completed."""
    on_failure: Notifiers = ()
    """Whom to tell when a run failed, or some of its rows."""
    on_skipped: Notifiers = ()
    """Whom to tell when a run was Skipped."""


class Defaults(_Shared):
    """The file `defaults.yaml`; the nearest one wins."""

    workspace: Name | None = None
    """The workspace's name; its syncs run one at a time."""
    postgres_conn_id: ConnectionId | None = None
    """The connection of the source."""


class SyncSpec(_Shared):
    """One sync: one file."""

    name: Name
    """Unique in its workspace."""
    description: Annotated[str, Field(pattern=_NO_NUL)] = ""
    """For people."""
    workspace: Name
    """The workspace's name; its syncs run one at a time."""
    postgres_conn_id: ConnectionId
    """The connection of the source."""
    people: People | None = None
    """The people to import."""
    objects: Objects | None = None
    """The objects to import instead."""
    relationships: Relationships | None = None
    """What to relate afterwards."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if bool(self.people) is bool(self.objects):
            raise ValueError("give people or objects, one of the two")
        if self.relationships and not (self.relationships.object_type_id or self.objects):
            raise ValueError("relationships needs object_type_id, the type of the objects")
        if self.spread and not (self.schedule and self.schedule.every):
            raise ValueError(
                "spread needs a schedule such as every: 1 hour; a cron expression says exactly when"
            )
        return self

    @property
    def dag_id(self) -> str:
        """The id of its DAG."""
        return dag_id(self.workspace, self.name)

    @property
    def connection(self) -> str:
        """The connection of the workspace."""
        return self.customerio_conn_id or connection_id(self.workspace)

    @property
    def crons(self) -> list[str]:
        """When it runs, as cron expressions; none without a schedule, or with one of assets."""
        if not self.schedule:
            return []
        if self.schedule.every:
            offset = spread_offset(self.dag_id, self.schedule.every) if self.spread else 0
            return crons_for(self.schedule.every, offset)
        return [self.schedule.cron] if self.schedule.cron else []
