"""What to import: the queries of a sync and how their rows are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Identifier = Literal["id", "email"]
Nulls = Literal["remove", "skip"]
#: Dates and times as Unix seconds, or as ISO 8601 text.
Timestamps = Literal["unix", "iso"]


@dataclass(frozen=True, kw_only=True)
class PeopleQuery:
    """A query whose rows are people; every column is an attribute.

    Args:
        sql: One SELECT, ready to run.
        identify_by: The column that names a person; without one it is ``id``, and ``email`` where a
            row's id is NULL.
    """

    sql: str
    identify_by: Identifier | None = None
    name: str = "people"


@dataclass(frozen=True, kw_only=True)
class Sync:
    """One import: its query and what holds for all of its rows.

    Args:
        people: The query of people.
        nulls: What a NULL attribute does: remove the attribute, or leave it alone.
    """

    people: PeopleQuery
    nulls: Nulls = "remove"

    @property
    def queries(self) -> tuple[PeopleQuery, ...]:
        """The queries in the order in which they are run."""
        return (self.people,)
