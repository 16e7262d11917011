"""Rows of an objects query become identify operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_cio.engine.mapping.attributes import Attributes
from airflow_provider_cio.engine.mapping.columns import RESERVED_OF_OBJECTS, check_columns
from airflow_provider_cio.engine.mapping.identifiers import as_text, identifier_texts
from airflow_provider_cio.engine.mapping.mapper import Mapped, Mapper
from airflow_provider_cio.engine.mapping.operations import IdentifyObject, ObjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.mapping.mapper import Values
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.outcome.rejection import Rejection
    from airflow_provider_cio.engine.queries import Nulls, ObjectsQuery
    from airflow_provider_cio.engine.sources import Column, Row

#: The column that names an object.
OBJECT = ("object_id",)


class ObjectsMapper(Mapper):
    """Turns rows of an objects query into operations.

    Raises:
        QueryError: The columns cannot be used.
    """

    def __init__(
        self,
        query: ObjectsQuery,
        columns: Sequence[Column],
        nulls: Nulls,
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        check_columns(query.sql, columns, identifiers=OBJECT, required=[OBJECT], reserved=RESERVED_OF_OBJECTS)
        super().__init__(query.name, columns, OBJECT, on_rejection)
        names = [column.name for column in columns]
        self._index = names.index("object_id")
        self._type = query.object_type_id
        self._attributes = Attributes(names, OBJECT, nulls)

    def map(self, columns: Sequence[Values], faults: RowProblems) -> Mapped:
        """Identify the object of each row."""
        ids = identifier_texts("object_id", columns[self._index], faults)
        objects = (ObjectId(self._type, object_id) for object_id in ids)
        return Mapped(ids, map(IdentifyObject, objects, self._attributes.of_rows(columns)))

    def name(self, row: Row) -> str:
        """Name the object."""
        return as_text(row[self._index])
