"""Rows of a relationships query set or remove relationships between people and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine.attributes import Attributes
from airflow_provider_cio.engine.columns import check_columns
from airflow_provider_cio.engine.identifiers import UnsendableError, identifier_text
from airflow_provider_cio.engine.mapping import Mapper
from airflow_provider_cio.engine.operations import (
    ObjectId,
    Operation,
    PersonEmail,
    PersonId,
    RelatePerson,
    Relationship,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.queries import Nulls, RelationshipsQuery
    from airflow_provider_cio.engine.rejection import Rejection
    from airflow_provider_cio.engine.source import Column, Row

_TRUE = frozenset({"true", "t", "1"})
_FALSE = frozenset({"false", "f", "0"})


class RelationshipsMapper(Mapper):
    """Turns rows of a relationships query into operations.

    Raises:
        QueryError: The columns cannot be used.
    """

    def __init__(
        self,
        query: RelationshipsQuery,
        columns: Sequence[Column],
        nulls: Nulls,
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        identifiers = (query.identify_by, "object_id")
        for identifier in identifiers:
            check_columns(columns, identifiers=identifiers, one_of=(identifier,), flags=("deleted",))
        super().__init__(query.name, columns, on_rejection)
        names = [column.name for column in columns]
        self._person_name = query.identify_by
        self._person = names.index(query.identify_by)
        self._identifiers: Callable[[str], PersonId | PersonEmail] = (
            PersonId if query.identify_by == "id" else PersonEmail
        )
        self._object = names.index("object_id")
        self._type = query.object_type_id
        self._deleted = names.index("deleted") if "deleted" in names else None
        self._attributes = Attributes(names, (*identifiers, "deleted"), nulls)

    def operation(self, number: int, row: Row) -> Operation:
        """Relate the person of a row to its object, or end that."""
        person = identifier_text(self._person_name, row[self._person])
        object_id = identifier_text("object_id", row[self._object])
        relationship = Relationship(ObjectId(self._type, object_id))
        action = "delete_relationships"
        if self._deleted is None or not _is_true(row[self._deleted]):
            action = "add_relationships"
            if self._attributes.names:
                relationship.relationship_attributes = self._attributes.build(*self._attributes.pick(row))
        body = encode(RelatePerson(self._identifiers(person), action, (relationship,)))
        # A pair is the same in any case of its e-mail address.
        return Operation(number, f"{person.lower()}\0{object_id}", body)

    def name(self, row: Row) -> str:
        """Name the person, by whom one finds the row."""
        return "" if row[self._person] is None else str(row[self._person])


def _is_true(value: Any) -> bool:
    """Read a boolean, also from a database that keeps it as 0 and 1, or as text."""
    text = str(value).lower()
    if text in _TRUE:
        return True
    if value is None or text in _FALSE:
        return False
    raise UnsendableError("deleted", "invalid", "deleted is neither true nor false")
