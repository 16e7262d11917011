"""Relationships: each row of the query adds or removes a relationship between a person and an object."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_cio.engine.mapping.attributes import Attributes
from airflow_provider_cio.engine.mapping.columns import RESERVED_FOR_OBJECTS, check_columns
from airflow_provider_cio.engine.mapping.identifiers import identifier_texts
from airflow_provider_cio.engine.mapping.mapper import Mapper, Payloads
from airflow_provider_cio.engine.mapping.operations import (
    ObjectId,
    RelatePerson,
    Relationship,
    person_identifiers,
)
from airflow_provider_cio.engine.mapping.query import Query
from airflow_provider_cio.engine.mapping.row_keys import RowKeys
from airflow_provider_cio.engine.mapping.row_problems import RowProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_cio.engine.mapping.mapper import Values
    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.outcome.rejection import Rejection
    from airflow_provider_cio.engine.sources import Column

#: The values that mean true and false: numbers, and the texts that Postgres reads as a boolean.
_BOOLEANS: dict[Any, bool] = {
    **dict.fromkeys([True, "t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"], True),
    **dict.fromkeys([False, None, "f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"], False),
}
#: Postgres ignores these around a text that it reads as a boolean.
_SPACES = " \t\n\v\f\r"
_NOT_BOOLEAN = RowProblem(
    "deleted",
    "invalid",
    "deleted is neither true nor false. Select a boolean, 0 or 1, or a text that Postgres reads as a boolean:"
    " true, yes, on, false, no, off",
)


@dataclass(frozen=True, kw_only=True)
class RelationshipsQuery(Query):
    """A query whose rows are relationships between people and objects.

    A row has ``object_id``, the identifier of the person, and optionally ``deleted``: true removes the
    relationship, and false or NULL adds it. Every other column is an attribute of the relationship.

    Args:
        sql: The SELECT, rendered.
        object_type_id: The type of the objects.
        identify_by: The column that identifies the person.
    """

    name: ClassVar = "relationships"
    object_type_id: str
    identify_by: Identifier = "id"

    def mapper(
        self, columns: Sequence[Column], nulls: Nulls, on_rejection: Callable[[Rejection], None]
    ) -> Mapper:
        """Return a mapper for rows with these columns."""
        return RelationshipsMapper(self, columns, nulls, on_rejection)

    @property
    def key_columns(self) -> Sequence[Sequence[str]]:
        """The columns that identify a row."""
        return [(self.identify_by,), ("object_id",)]

    @property
    def failed_change_types(self) -> list[str]:
        """The types of activities with which Customer.io logs changes that it did not apply."""
        return ["relationship_failed_attribute_change", f"_r:{self.object_type_id}:failed_attribute_change"]


class RelationshipsMapper(Mapper):
    """Turns rows into operations that add or remove relationships.

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
        check_columns(
            columns,
            identifiers=identifiers,
            required=[(identifier,) for identifier in identifiers],
            reserved=RESERVED_FOR_OBJECTS,
            flag="deleted",
        )
        super().__init__(query.name, RowKeys(query.key_columns, columns), columns, identifiers, on_rejection)
        names = [column.name for column in columns]
        self._person_name = query.identify_by
        self._person_index = names.index(query.identify_by)
        self._identifiers = person_identifiers(query.identify_by)
        self._object_index = names.index("object_id")
        self._object_type_id = query.object_type_id
        self._deleted_index = names.index("deleted") if "deleted" in names else None
        self._attributes = Attributes(names, (*identifiers, "deleted"), nulls)

    def _payloads(self, columns: Sequence[Values], problems: RowProblems) -> Payloads:
        people = identifier_texts(self._person_name, columns[self._person_index], problems)
        objects = identifier_texts("object_id", columns[self._object_index], problems)
        attributes: Iterable[Any] = itertools.repeat(None)
        if self._attributes.names:
            attributes = self._attributes.of_rows(columns)
        rows = zip(people, objects, self._deleted(columns, problems), attributes, strict=False)
        # The case of an email address has no meaning.
        order_keys = [
            f"{person.lower()}\0{object_id}" for person, object_id in zip(people, objects, strict=True)
        ]
        return Payloads(order_keys, itertools.starmap(self._relate, rows))

    def _relate(self, person: str, object_id: str, deleted: bool, attributes: Any) -> RelatePerson:  # noqa: FBT001 - called with the values of a row
        target = ObjectId(self._object_type_id, object_id)
        relationship = Relationship(target, None if deleted else attributes)
        action = "delete_relationships" if deleted else "add_relationships"
        return RelatePerson(self._identifiers(person), action, (relationship,))

    def _deleted(self, columns: Sequence[Values], problems: RowProblems) -> Iterable[bool]:
        """Return for each row whether it removes the relationship."""
        if self._deleted_index is None:
            return [False] * len(columns[0])
        deleted = list(map(_as_boolean, columns[self._deleted_index]))
        for index, value in enumerate(deleted):
            if value is None:
                problems.setdefault(index, _NOT_BOOLEAN)
        return map(bool, deleted)


def _as_boolean(value: Any) -> bool | None:
    """Read a boolean that the database may keep as a number or a text. Return None for any other value."""
    return _BOOLEANS.get(value.strip(_SPACES).lower() if isinstance(value, str) else value)
