"""What a spec may say."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal, Self

from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from airflow_provider_cio.naming import connection_id

_DURATION = re.compile(r"(\d+) (second|minute|hour|day)s?").fullmatch


def _duration(value: Any) -> Any:
    """Read ``90 seconds``, ``5 minutes``, ``2 hours`` or ``1 day``."""
    if not isinstance(value, str) or not (match := _DURATION(value.strip())):
        raise ValueError("give a number and a unit, such as 90 seconds, 5 minutes, 2 hours or 1 day")
    number, unit = match.groups()
    try:
        return dt.timedelta(**{f"{unit}s": int(number)})
    except OverflowError:
        raise ValueError("is longer than anybody can wait") from None


def _cron(value: str) -> str:
    if not croniter.is_valid(value):
        raise ValueError('is no cron expression, such as "*/30 * * * *" for every half hour')
    return value


Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=100)]
Duration = Annotated[dt.timedelta, BeforeValidator(_duration)]
#: Customer.io numbers types from 1 and writes the number as text.
ObjectTypeId = Annotated[str, Field(pattern=r"^[1-9][0-9]*$")]
Cron = Annotated[str, AfterValidator(_cron)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SegmentSpec(_Part):
    """A manual segment, by one of the two.

    Attributes:
        id: Its number.
        name: Its name; created when there is none. The connection then needs an App API key.
    """

    id: int | None = Field(default=None, ge=1)
    name: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.id is None) is (self.name is None):
            raise ValueError("give id or name, one of the two")
        return self


class PeopleSpec(_Part):
    """The people to import.

    Attributes:
        query: One SELECT with ``{{ last_sync_time }}``.
        identify_by: The column that names a person; by default id, and email where a row's id is NULL.
        segment: The manual segment to which they are added.
    """

    query: str = Field(min_length=1)
    identify_by: Literal["id", "email"] | None = None
    segment: SegmentSpec | None = None


class ObjectsSpec(_Part):
    """The objects to import.

    Attributes:
        object_type_id: The type of all of them.
        query: One SELECT with ``{{ last_sync_time }}``; ``object_id`` names an object.
    """

    object_type_id: ObjectTypeId
    query: str = Field(min_length=1)


class RelationshipsSpec(_Part):
    """The relationships to set or remove.

    Attributes:
        query: One SELECT with ``{{ last_sync_time }}``: ``object_id``, a person's column, maybe ``deleted``.
        identify_by: The person's column.
        object_type_id: The type of the objects; with objects, theirs by default.
    """

    query: str = Field(min_length=1)
    identify_by: Literal["id", "email"] = "id"
    object_type_id: ObjectTypeId | None = None


class SyncSpec(_Part):
    """One sync.

    Attributes:
        name: Unique in its workspace.
        description: For people.
        workspace: The workspace's name; its syncs run one at a time.
        schedule: When to run, as cron; without it only when somebody triggers it.
        start_date: No scheduled run before this day.
        postgres_conn_id: The source.
        customerio_conn_id: The workspace; by default ``customerio_<workspace>``.
        people: The people to import.
        objects: The objects to import instead.
        relationships: What to relate afterwards.
        nulls: What a NULL attribute does.
        timestamps: Dates and times as Unix seconds or as ISO 8601.
        overlap: How far to look back where the source hides transactions in flight.
        max_lookback: How far to look back at most for a long transaction.
        retries: How often Airflow tries again after a run that could not come to its end.
        owner: Shown in Airflow.
        tags: Shown in Airflow, besides our own.
    """

    name: Name
    description: str = ""
    workspace: Name
    schedule: Cron | None = None
    start_date: dt.date | None = None
    postgres_conn_id: str = Field(min_length=1)
    customerio_conn_id: str = ""
    people: PeopleSpec | None = None
    objects: ObjectsSpec | None = None
    relationships: RelationshipsSpec | None = None
    nulls: Literal["remove", "skip"] = "remove"
    timestamps: Literal["unix", "iso"] = "unix"
    overlap: Duration = dt.timedelta(minutes=1)
    max_lookback: Duration = dt.timedelta(hours=1)
    retries: int = Field(default=2, ge=0)
    owner: str = "airflow"
    tags: tuple[Annotated[str, Field(max_length=100)], ...] = ()

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if bool(self.people) is bool(self.objects):
            raise ValueError("give people or objects, one of the two")
        if self.relationships and not (self.relationships.object_type_id or self.objects):
            raise ValueError("relationships needs object_type_id, the type of the objects")
        return self

    def connection(self) -> str:
        """The connection of the workspace."""
        return self.customerio_conn_id or connection_id(self.workspace)
