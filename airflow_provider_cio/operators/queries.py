"""The operator's arguments for each kind of query: one line in a table for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine import ObjectsQuery, PeopleQuery, RelationshipsQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_cio.engine.mapping.query import Query


@dataclass(frozen=True)
class QueryArguments:
    """The arguments for one kind of query.

    Args:
        kind: The class of the query in the engine.
        sql: The name of the argument that holds the SELECT.
        options: The names of the other arguments, by the names of the query's options.
    """

    kind: type[Query]
    sql: str
    options: Mapping[str, str]

    def from_spec(self, part: Any) -> dict[str, Any]:
        """Return the arguments for a part of a spec, such as `SyncSpec.people`."""
        # Airflow reads a template that ends in .sql as the name of a file.
        sql = f"{part.query}\n" if part.query.endswith(".sql") else part.query
        return {
            self.sql: sql,
            **{argument: getattr(part, option) for option, argument in self.options.items()},
        }

    def build(self, operator: object) -> Query | None:
        """Return the query for the engine, or None if the operator has no query of this kind."""
        sql = getattr(operator, self.sql)
        if not sql:
            return None
        return self.kind(
            sql=sql,
            **{option: getattr(operator, argument) for option, argument in self.options.items()},
        )


PEOPLE = QueryArguments(PeopleQuery, "people_query", {"identify_by": "identify_by"})
OBJECTS = QueryArguments(ObjectsQuery, "objects_query", {"object_type_id": "object_type_id"})
RELATIONSHIPS = QueryArguments(
    RelationshipsQuery,
    "relationships_query",
    {"identify_by": "relationships_identify_by", "object_type_id": "relationships_object_type_id"},
)
#: All kinds, in the order in which they are imported.
QUERY_ARGUMENTS = (PEOPLE, OBJECTS, RELATIONSHIPS)
