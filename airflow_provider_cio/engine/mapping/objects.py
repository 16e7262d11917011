"""Objects: each row of the query creates or updates an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_cio.engine.mapping.attributes import Attributes
from airflow_provider_cio.engine.mapping.columns import RESERVED_FOR_OBJECTS, check_columns
from airflow_provider_cio.engine.mapping.identifiers import identifier_texts
from airflow_provider_cio.engine.mapping.mapper import Mapper, Payloads
from airflow_provider_cio.engine.mapping.operations import IdentifyObject, ObjectId
from airflow_provider_cio.engine.mapping.query import Query
from airflow_provider_cio.engine.mapping.row_keys import RowKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.mapping.mapper import Values
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems
    from airflow_provider_cio.engine.outcome.rejection import Rejection
    from airflow_provider_cio.engine.sources import Column

#: The columns that identify an object.
_IDENTIFIERS = ("object_id",)


@dataclass(frozen=True, kw_only=True)
class ObjectsQuery(Query):
    """A query whose rows are objects, identified by ``object_id``. Every other column is an attribute.

    Args:
        sql: The SELECT, rendered.
        object_type_id: The type of all the objects: ``"1"`` for the first type of the workspace.
    """

    name: ClassVar = "objects"
    object_type_id: str

    def mapper(
        self, columns: Sequence[Column], nulls: Nulls, on_rejection: Callable[[Rejection], None]
    ) -> Mapper:
        """Return a mapper for rows with these columns."""
        return ObjectsMapper(self, columns, nulls, on_rejection)

    @property
    def key_columns(self) -> Sequence[Sequence[str]]:
        """The columns that identify a row."""
        return [_IDENTIFIERS]

    @property
    def failed_change_types(self) -> list[str]:
        """The types of activities with which Customer.io logs changes that it did not apply."""
        return [f"_o:{self.object_type_id}:failed_attribute_change"]


class ObjectsMapper(Mapper):
    """Turns rows into operations that identify objects.

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
        check_columns(
            columns,
            identifiers=_IDENTIFIERS,
            required=[_IDENTIFIERS],
            reserved=RESERVED_FOR_OBJECTS,
        )
        super().__init__(query.name, RowKeys(query.key_columns, columns), columns, _IDENTIFIERS, on_rejection)
        names = [column.name for column in columns]
        self._column_index = names.index("object_id")
        self._object_type_id = query.object_type_id
        self._attributes = Attributes(names, _IDENTIFIERS, nulls)

    def _payloads(self, columns: Sequence[Values], problems: RowProblems) -> Payloads:
        ids = identifier_texts("object_id", columns[self._column_index], problems)
        objects = (ObjectId(self._object_type_id, object_id) for object_id in ids)
        return Payloads(ids, map(IdentifyObject, objects, self._attributes.of_rows(columns)))
