"""The keys of a spec and of `defaults.yaml`, and what they accept."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_provider_cio.engine.sources.watermark import DEFAULT_MAX_LOOKBACK
from airflow_provider_cio.specs.fields import (
    AS_TUPLE,
    MAX_ENTRIES,
    ConnectionId,
    Count,
    Cron,
    Description,
    Duration,
    Every,
    FailedRows,
    Growth,
    Link,
    Name,
    ObjectTypeId,
    QueryText,
    RowCount,
    StatementTimeout,
    Tag,
    Text,
    TimeZone,
    Uri,
)
from airflow_provider_cio.specs.notifications import make_notifier
from airflow_provider_cio.specs.schedules import crons_for, spread_offset
from airflow_provider_cio.state.names import connection_id, dag_id

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Segment(_Part):
    """A manual segment, by its id or by its name."""

    id: int | None = Field(default=None, ge=1)
    """The id of the segment."""
    name: Text | None = None
    """The name of the segment. It is created if it does not exist, which needs an App API key."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.id is None) is (self.name is None):
            raise ValueError("give either id or name")
        return self


class _Query(_Part):
    # A spec has one of the two keys. When it is loaded, `query` holds the text in either case.
    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(
            required=[key for key in schema["required"] if key != "query"],
            oneOf=[{"required": ["query"]}, {"required": ["query_file"]}],
        )
    )

    query: QueryText
    """One SELECT. In it, `{{ last_sync_time }}` is the Unix time from which to read changes."""
    query_file: Text | None = None
    """A file with the query, in the folder of the spec."""


class People(_Query):
    """The people to import. Each row is a person, and each column an attribute."""

    identify_by: Literal["id", "email"] | None = None
    """The column that identifies a person. By default it is id, and email in rows whose id is NULL."""
    segment: Segment | None = None
    """The manual segment to which the people are added."""


class Objects(_Query):
    """The objects to import. Each row is an object, identified by its column `object_id`."""

    object_type_id: ObjectTypeId
    """The type of all the objects: its number in Customer.io, as text."""


class Relationships(_Query):
    """The relationships to add, or to remove where the column `deleted` is true."""

    identify_by: Literal["id", "email"] = "id"
    """The column that identifies the person; `object_id` identifies the object."""
    object_type_id: ObjectTypeId | None = None
    """The type of the objects. By default it is that of `objects`."""


class Schedule(_Part):
    """When to run: one of the three keys. A text alone is a cron expression."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(type=["string", "object"], minProperties=1)
    )

    cron: Cron | None = None
    """Five fields: minute, hour, day of month, month, day of week."""
    every: Every | None = None
    """An interval that divides a day, such as 30 minutes, 2 hours or 1 day. It counts from midnight."""
    assets: Annotated[tuple[Uri, ...], AS_TUPLE] = ()
    """The URIs of assets. The sync runs when all of them have been updated."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return {"cron": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum(map(bool, (self.cron, self.every, self.assets))) != 1:
            raise ValueError("give one of a cron expression, every and assets")
        return self


class Guards(_Part):
    """Limits that end a run, because its main query is probably wrong."""

    min_rows: RowCount | None = None
    """The smallest number of rows of a run that reads everything."""
    max_rows: RowCount | None = None
    """The largest number of rows of a run."""
    max_growth: Growth | None = None
    """The largest growth of a run that reads everything, compared with the last one that Completed."""
    max_failed: FailedRows | None = None
    """The largest number of failed rows, or their largest share, such as 5%."""

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.min_rows and self.max_rows and self.min_rows > self.max_rows:
            raise ValueError("min_rows cannot be larger than max_rows")
        return self


class Notifier(_Part):
    """A notification of a run's end."""

    notifier: Text
    """The import path of an Airflow notifier."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Its arguments. Their templates can use the summary, such as `{{ summary.rows_failed }}`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.make()
        return self

    def make(self) -> BaseNotifier:
        """Create the notifier.

        Raises:
            ValueError: The notifier does not exist, or refuses its arguments.
        """
        return make_notifier(self.notifier, self.arguments)


Notifiers = Annotated[tuple[Notifier, ...], AS_TUPLE]


class _Shared(_Part):
    """The keys that `defaults.yaml` can set for all specs of its folder and of the folders in it."""

    customerio_conn_id: ConnectionId | None = None
    """The connection of the workspace. By default it is customerio_<workspace>."""
    schedule: Schedule | None = None
    """When to run. Without a schedule, the sync runs only when a person triggers it."""
    timezone: TimeZone = "UTC"
    """The time zone of the schedule."""
    spread: bool = False
    """Move a sync with `every` to a minute of its own, so that not all syncs start at once."""
    start_date: dt.date | None = Field(default=None, strict=False)
    """The first day of scheduled runs."""
    guards: Guards | None = None
    """Limits that end a run, because its query is probably wrong."""
    nulls: Literal["remove", "skip"] = "remove"
    """What a NULL attribute does: remove the attribute, or leave it as it was."""
    failed_rows: Literal["hold", "retry"] = "hold"
    """Failed rows hold the last sync time until none fails, or the next runs retry only these rows."""
    timestamps: Literal["unix", "iso"] = "unix"
    """Send dates and times as Unix seconds or as ISO 8601 text."""
    overlap: Duration | None = None
    """How far to look back always. By default a minute, and only where the source hides open transactions."""
    max_lookback: Duration = dt.timedelta(seconds=DEFAULT_MAX_LOOKBACK)
    """How far to look back at most for a long transaction."""
    statement_timeout: StatementTimeout | None = None
    """How long Postgres may take for the next rows. By default the setting of the server applies."""
    execution_timeout: Duration | None = None
    """How long a run may take."""
    retries: Count = 2
    """How often Airflow repeats a run that could not finish."""
    retry_delay: Duration | None = None
    """How long Airflow waits before it repeats a run. By default the setting of Airflow applies."""
    max_consecutive_failed_dag_runs: Count = 0
    """The number of consecutive failed runs after which Airflow pauses the DAG; 0 for never."""
    owner: Text = "airflow"
    """The owner of the sync, as Airflow displays it."""
    owner_links: dict[Text, Link] = Field(default_factory=dict, max_length=MAX_ENTRIES)
    """The link of an owner: a URL, or mailto: and an address."""
    tags: Annotated[tuple[Tag, ...], AS_TUPLE] = ()
    """Tags for Airflow, in addition to ours."""
    on_success: Notifiers = ()
    """Notifications when a run has Completed."""
    on_failure: Notifiers = ()
    """Notifications when a run failed, or some of its rows."""
    on_skipped: Notifiers = ()
    """Notifications when a run was Skipped."""


class Defaults(_Shared):
    """The file `defaults.yaml`. The nearest one above a spec applies."""

    workspace: Name | None = None
    """The name of the workspace. Its syncs run one at a time."""
    postgres_conn_id: ConnectionId | None = None
    """The connection of the source."""


class SyncSpec(_Shared):
    """One sync, in one file."""

    name: Name
    """The name of the sync, unique in its workspace."""
    description: Description = ""
    """A description for people."""
    workspace: Name
    """The name of the workspace. Its syncs run one at a time."""
    postgres_conn_id: ConnectionId
    """The connection of the source."""
    people: People | None = None
    """The people to import."""
    objects: Objects | None = None
    """The objects to import, instead of people."""
    relationships: Relationships | None = None
    """The relationships to import after the people or objects."""
    create: bool = True
    """Whether a row creates its person if the person does not exist. For people only."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if bool(self.people) is bool(self.objects):
            raise ValueError("give either people or objects")
        if self.relationships and not (self.relationships.object_type_id or self.objects):
            raise ValueError("relationships needs object_type_id, the type of the objects")
        if not self.create and not self.people:
            raise ValueError("create: false is for people only. Remove create, or give people")
        if not self.create and self.relationships:
            raise ValueError(
                "create: false cannot be combined with relationships, because a relationship can create its"
                " person. Remove relationships, or give them a sync without create: false"
            )
        if self.spread and not (self.schedule and self.schedule.every):
            raise ValueError(
                "spread needs a schedule such as every: 1 hour. A cron expression sets the exact minute"
            )
        return self

    @property
    def dag_id(self) -> str:
        """The id of the DAG."""
        return dag_id(self.workspace, self.name)

    @property
    def connection(self) -> str:
        """The id of the connection of the workspace."""
        return self.customerio_conn_id or connection_id(self.workspace)

    @property
    def crons(self) -> list[str]:
        """The schedule as cron expressions. Without a schedule, or with one of assets, there are none."""
        if not self.schedule:
            return []
        if self.schedule.every:
            offset = spread_offset(self.dag_id, self.schedule.every) if self.spread else 0
            return crons_for(self.schedule.every, offset)
        return [self.schedule.cron] if self.schedule.cron else []
