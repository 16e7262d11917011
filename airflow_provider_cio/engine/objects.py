"""Rows of an objects query become identify operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_cio.engine.attributes import Attributes
from airflow_provider_cio.engine.columns import check_columns
from airflow_provider_cio.engine.identifiers import identifier_text
from airflow_provider_cio.engine.mapping import Mapper
from airflow_provider_cio.engine.operations import IdentifyObject, ObjectId, Operation, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.queries import Nulls, ObjectsQuery
    from airflow_provider_cio.engine.rejection import Rejection
    from airflow_provider_cio.engine.source import Column, Row

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
        check_columns(columns, identifiers=OBJECT, one_of=OBJECT)
        super().__init__(query.name, columns, on_rejection)
        names = [column.name for column in columns]
        self._index = names.index("object_id")
        self._type = query.object_type_id
        self._attributes = Attributes(names, OBJECT, nulls)

    def operation(self, number: int, row: Row) -> Operation:
        """Identify the object of a row."""
        object_id = identifier_text("object_id", row[self._index])
        attributes = self._attributes.build(*self._attributes.pick(row))
        return Operation(
            number, object_id, encode(IdentifyObject(ObjectId(self._type, object_id), attributes))
        )

    def name(self, row: Row) -> str:
        """Name the object."""
        return "" if row[self._index] is None else str(row[self._index])
