"""Rows of a people query become identify operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine.attributes import Attributes
from airflow_provider_cio.engine.columns import check_columns
from airflow_provider_cio.engine.email_owners import EmailOwners
from airflow_provider_cio.engine.identifiers import UnsendableError, identifier_text
from airflow_provider_cio.engine.mapping import Mapper
from airflow_provider_cio.engine.operations import IdentifyPerson, Operation, PersonEmail, PersonId, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.engine.queries import Identifier, Nulls, PeopleQuery
    from airflow_provider_cio.engine.rejection import Rejection
    from airflow_provider_cio.engine.source import Column, Row

#: Columns that name a person.
PERSON = ("id", "email")


class PeopleMapper(Mapper):
    """Turns rows of a people query into operations.

    Raises:
        QueryError: The columns cannot be used.
    """

    def __init__(
        self,
        query: PeopleQuery,
        columns: Sequence[Column],
        nulls: Nulls,
        on_rejection: Callable[[Rejection], None],
    ) -> None:
        wanted: tuple[Identifier, ...] = (query.identify_by,) if query.identify_by else ("id", "email")
        check_columns(columns, identifiers=PERSON, one_of=wanted)
        super().__init__(query.name, columns, on_rejection)
        names = [column.name for column in columns]
        self._shapes = [_Shape(identifier, names, nulls) for identifier in wanted if identifier in names]
        self._owners: EmailOwners | None = None
        if "id" in names and "email" in names:
            self._id, self._email = names.index("id"), names.index("email")
            self._owners = EmailOwners()
        self._nobody = UnsendableError(
            f"identifiers.{wanted[0]}", "required", f"the row has no {' and no '.join(wanted)}"
        )

    def operation(self, number: int, row: Row) -> Operation:
        """Identify the person of a row, by the first identifier that it has."""
        for shape in self._shapes:
            if row[shape.index] is not None:
                return shape.operation(number, row)
        raise self._nobody

    def operations(self, rows: list[Row]) -> Iterator[Operation]:
        """Give an operation for each row that can be sent, in row order; an address is one id's only."""
        before = self._rows
        operations = super().operations(rows)
        if not self._owners:
            yield from operations
            return
        sendable = [(operation, rows[operation.row - before - 1]) for operation in operations]
        clashes = self._owners.clashes(
            [
                (operation.row, row[self._email], str(row[self._id]))
                for operation, row in sendable
                if row[self._email] is not None and row[self._id] is not None
            ]
        )
        for operation, row in sendable:
            if operation.row in clashes:
                first = clashes[operation.row]
                message = f"email is also that of row {first}, which has another id: one address, one person"
                self.reject(operation.row, row, UnsendableError("attributes.email", "duplicate", message))
            else:
                yield operation

    def name(self, row: Row) -> str:
        """Name the person."""
        return next((str(row[shape.index]) for shape in self._shapes if row[shape.index] is not None), "")


class _Shape:
    """How a row becomes a person named by one of the two identifiers; the other one is an attribute."""

    def __init__(self, identifier: Identifier, names: Sequence[str], nulls: Nulls) -> None:
        self.index = names.index(identifier)
        self._name = identifier
        self._identifiers: Callable[[str], PersonId | PersonEmail] = (
            PersonId if identifier == "id" else PersonEmail
        )
        self._attributes = Attributes(names, (identifier,), nulls)
        self._other_name = "email" if identifier == "id" else "id"
        self._other = (
            self._attributes.names.index(self._other_name)
            if self._other_name in self._attributes.names
            else None
        )

    def operation(self, number: int, row: Row) -> Operation:
        """Encode a row."""
        identifier = identifier_text(self._name, row[self.index])
        values = self._attributes.pick(row)
        if self._other is not None:
            value = values[self._other]
            # A NULL must not take away the other identifier of a person.
            other = msgspec.UNSET if value is None else identifier_text(self._other_name, value, "attributes")
            if other is not value:
                values = (*values[: self._other], other, *values[self._other + 1 :])
        body = encode(IdentifyPerson(self._identifiers(identifier), self._attributes.build(*values)))
        # An e-mail address is the same in any case.
        return Operation(number, identifier if self._name == "id" else identifier.lower(), body)
