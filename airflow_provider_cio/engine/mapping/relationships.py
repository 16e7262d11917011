"""Rows of a relationships query set or remove relationships between people and objects."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.engine.mapping.attributes import Attributes
from airflow_provider_cio.engine.mapping.columns import RESERVED_OF_OBJECTS, check_columns
from airflow_provider_cio.engine.mapping.identifiers import as_text, identifier_texts
from airflow_provider_cio.engine.mapping.mapper import Mapped, Mapper
from airflow_provider_cio.engine.mapping.operations import (
    ObjectId,
    PersonEmail,
    PersonId,
    RelatePerson,
    Relationship,
)
from airflow_provider_cio.engine.mapping.row_problems import RowProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_cio.engine.mapping.mapper import Values
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.outcome.rejection import Rejection
    from airflow_provider_cio.engine.queries import Nulls, RelationshipsQuery
    from airflow_provider_cio.engine.sources import Column, Row

#: What is true and what is false: numbers, and texts as Postgres reads them, which may be shortened.
_MEANINGS: dict[Any, bool] = {
    **dict.fromkeys([True, "t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"], True),
    **dict.fromkeys([False, None, "f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"], False),
}


#: Postgres ignores these around a text that it reads as a boolean.
_SPACES = " \t\n\v\f\r"
_NOT_BOOLEAN = RowProblem(
    "deleted",
    "invalid",
    "deleted is neither true nor false; it may be a boolean, 0 or 1,"
    " or a text that Postgres reads as a boolean: true, yes, on, false, no, off",
)


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
        check_columns(
            query.sql,
            columns,
            identifiers=identifiers,
            required=[(identifier,) for identifier in identifiers],
            reserved=RESERVED_OF_OBJECTS,
            flag="deleted",
        )
        super().__init__(query.name, columns, identifiers, on_rejection)
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

    def map(self, columns: Sequence[Values], faults: RowProblems) -> Mapped:
        """Relate the person of each row to its object, or end that."""
        people = identifier_texts(self._person_name, columns[self._person], faults)
        objects = identifier_texts("object_id", columns[self._object], faults)
        attributes: Iterable[Any] = itertools.repeat(None)
        if self._attributes.names:
            attributes = self._attributes.of_rows(columns)
        rows = zip(people, objects, self._ended(columns, faults), attributes, strict=False)
        # A pair is the same in any case of its e-mail address.
        keys = [f"{person.lower()}\0{object_id}" for person, object_id in zip(people, objects, strict=True)]
        return Mapped(keys, itertools.starmap(self._relate, rows))

    def _relate(self, person: str, object_id: str, ended: bool, attributes: Any) -> RelatePerson:  # noqa: FBT001 - a column of them
        relationship = Relationship(ObjectId(self._type, object_id), None if ended else attributes)
        action = "delete_relationships" if ended else "add_relationships"
        return RelatePerson(self._identifiers(person), action, (relationship,))

    def _ended(self, columns: Sequence[Values], faults: RowProblems) -> Iterable[bool]:
        """Read the column ``deleted``."""
        if self._deleted is None:
            return [False] * len(columns[0])
        ended = list(map(_is_true, columns[self._deleted]))
        for place, value in enumerate(ended):
            if value is None:
                faults.setdefault(place, _NOT_BOOLEAN)
        return map(bool, ended)

    def name(self, row: Row) -> str:
        """Name the person, by whom one finds the row."""
        return as_text(row[self._person])


def _is_true(value: Any) -> bool | None:
    """Read a boolean, also from a database that keeps it as a number or as text; None for anything else."""
    return _MEANINGS.get(value.strip(_SPACES).lower() if isinstance(value, str) else value)
