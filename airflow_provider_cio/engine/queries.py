"""What to import: the queries of a sync and how their rows are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Identifier = Literal["id", "email"]
Nulls = Literal["remove", "skip"]
#: Dates and times as Unix seconds, or as ISO 8601 text.
Timestamps = Literal["unix", "iso"]


@dataclass(frozen=True, kw_only=True)
class PeopleQuery:
    """A query whose rows are people; every other column is an attribute.

    Args:
        sql: One SELECT, ready to run.
        identify_by: The column that names a person; without one it is ``id``, and ``email`` where a
            row's id is NULL.
    """

    name: ClassVar = "people"
    sql: str
    identify_by: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class ObjectsQuery:
    """A query whose rows are objects, named by ``object_id``; every other column is an attribute.

    Args:
        sql: One SELECT, ready to run.
        object_type_id: The type of all of them: ``"1"`` for the first that the workspace has.
    """

    name: ClassVar = "objects"
    sql: str
    object_type_id: str


@dataclass(frozen=True, kw_only=True)
class RelationshipsQuery:
    """A query whose rows relate people to objects.

    A row has ``object_id``, the person's column, and maybe ``deleted``: true removes the relationship, false
    or NULL sets it. Every other column is an attribute of the relationship.

    Args:
        sql: One SELECT, ready to run.
        object_type_id: The type of the objects.
        identify_by: The person's column.
    """

    name: ClassVar = "relationships"
    sql: str
    object_type_id: str
    identify_by: Identifier = "id"


Query: TypeAlias = PeopleQuery | ObjectsQuery | RelationshipsQuery


@dataclass(frozen=True, kw_only=True)
class Sync:
    """One import: its queries and what holds for all of their rows.

    Args:
        main: The query of people or of objects.
        relationships: The query of relationships, if there is one; run when all verdicts on the other are in.
        segment: The manual segment to which imported people are added.
        nulls: What a NULL attribute does: remove the attribute, or leave it alone.
    """

    main: PeopleQuery | ObjectsQuery
    relationships: RelationshipsQuery | None = None
    segment: int | None = None
    nulls: Nulls = "remove"

    @property
    def queries(self) -> list[Query]:
        """The queries in the order in which they are run."""
        return [self.main, self.relationships] if self.relationships else [self.main]
