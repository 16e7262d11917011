"""From rows to operations. All that can be decided once per query is decided when its mapper is compiled."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_cio.engine.columns import check_columns
from airflow_provider_cio.engine.emails import is_email
from airflow_provider_cio.engine.rejection import Rejection
from airflow_provider_cio.engine.values import FRACTIONS, finite
from airflow_provider_cio.track.limits import IDENTIFIER_BYTES, OPERATION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.engine.queries import Identifier, Nulls, PeopleQuery
    from airflow_provider_cio.engine.source import Column, Row

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Operation(msgspec.Struct, gc=False):
    """One row, ready to be sent.

    Args:
        row: Its place in the query's result, from 1.
        key: Operations with the same key are applied in row order.
        body: Its JSON.
    """

    row: int
    key: str
    body: bytes

    @property
    def identifier(self) -> str:
        """The person's identifier, as it is sent."""
        identifiers = msgspec.json.decode(self.body, type=_Named).identifiers
        return next(iter(identifiers.values()))


class _Named(msgspec.Struct):
    identifiers: dict[str, str]


class _Id(msgspec.Struct, gc=False):
    id: str


class _Email(msgspec.Struct, gc=False):
    email: str


class _IdentifyPerson(msgspec.Struct, tag_field="type", tag="person", gc=False):
    identifiers: _Id | _Email
    attributes: Any
    action: str = "identify"


class _UnsendableError(Exception):
    """A row cannot be sent: what is at fault, why, and a sentence for people."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


class PeopleMapper:
    """Turns rows of a people query into identify operations.

    Args:
        query: The query.
        columns: Its columns.
        nulls: What a NULL attribute does.
        on_rejection: Told of every row that cannot be sent.

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
        check_columns(columns, wanted)
        names = [column.name for column in columns]
        self.rows = 0
        self._query = query.name
        self._on_rejection = on_rejection
        self._shapes = [_Shape(identifier, names, nulls) for identifier in wanted if identifier in names]
        self._nobody = _UnsendableError(
            f"identifiers.{wanted[0]}", "required", f"the row has no {' and no '.join(wanted)}"
        )
        self._fractions = [
            (index, _finite_test(column)) for index, column in enumerate(columns) if column.type in FRACTIONS
        ]

    def operations(self, rows: list[Row]) -> Iterator[Operation]:
        """Give an operation for each row that can be sent, in row order."""
        for row in self._finite(rows):
            self.rows += 1
            for shape in self._shapes:
                if row[shape.index] is not None:
                    break
            else:
                self._reject("", self._nobody)
                continue
            try:
                yield shape.operation(self.rows, row)
            except _UnsendableError as fault:
                self._reject(str(row[shape.index]), fault)

    def _reject(self, identifier: str, fault: _UnsendableError) -> None:
        self._on_rejection(
            Rejection(self._query, self.rows, identifier, fault.field, fault.reason, fault.message)
        )

    def _finite(self, rows: list[Row]) -> list[Row]:
        """Make NULLs of NaN and infinity. They are rare, so rows are only rebuilt where there are some."""
        found = {
            index
            for index, is_finite in self._fractions
            if not all(map(is_finite, filter(None, map(itemgetter(index), rows))))
        }
        if not found:
            return rows
        return [
            tuple(finite(value) if index in found else value for index, value in enumerate(row))
            for row in rows
        ]


class _Shape:
    """How a row becomes a person named by one of the two identifiers; the other one is an attribute."""

    def __init__(self, identifier: Identifier, names: Sequence[str], nulls: Nulls) -> None:
        self.index = names.index(identifier)
        self._name = identifier
        self._identifiers: Callable[[str], _Id | _Email] = _Id if identifier == "id" else _Email
        self._other_name = "email" if identifier == "id" else "id"
        attributes = [name for name in names if name != identifier]
        self._other = attributes.index(self._other_name) if self._other_name in attributes else None
        self._values = _picker([index for index, name in enumerate(names) if name != identifier])
        fields = {f"column_{index}": name for index, name in enumerate(attributes)}
        self._attributes = msgspec.defstruct(
            "Attributes",
            [(field, Any, None) for field in fields],
            rename=fields,
            omit_defaults=nulls == "skip",
            gc=False,
        )

    def operation(self, number: int, row: Row) -> Operation:
        """Encode a row.

        Raises:
            _UnsendableError: Customer.io would drop it, or it would spoil its batch.
        """
        identifier = _identifier(self._name, row[self.index], "identifiers")
        values = self._values(row)
        if self._other is not None:
            value = values[self._other]
            # A NULL must not take away the other identifier of a person.
            other = msgspec.UNSET if value is None else _identifier(self._other_name, value, "attributes")
            if other is not value:
                values = (*values[: self._other], other, *values[self._other + 1 :])
        body = _encode(_IdentifyPerson(self._identifiers(identifier), self._attributes(*values)))
        if len(body) > OPERATION_BYTES:
            raise _UnsendableError(
                "attributes",
                "too_large",
                f"the row makes {len(body)} bytes of JSON, more than the {OPERATION_BYTES} that are allowed",
            )
        # An e-mail address is the same in any case.
        return Operation(number, identifier if self._name == "id" else identifier.lower(), body)


def _identifier(name: str, value: Any, path: str) -> str:
    """Check an identifier and return it as text."""
    if isinstance(value, int):
        return str(value)
    text: str = value
    if not isinstance(value, str):
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if not text or text.isspace():
        raise _UnsendableError(f"{path}.{name}", "required", f"{name} is blank; for none, NULLIF({name}, '')")
    if len(text) * 4 > IDENTIFIER_BYTES and len(text.encode()) > IDENTIFIER_BYTES:
        raise _UnsendableError(f"{path}.{name}", "invalid", f"{name} is longer than {IDENTIFIER_BYTES} bytes")
    if name == "email" and not is_email(text):
        raise _UnsendableError(f"{path}.{name}", "invalid", "email is no address by RFC 5322")
    return text


def _picker(indexes: Sequence[int]) -> Callable[[Row], Row]:
    """Make a function that picks columns of a row."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda row: tuple(row[index] for index in indexes)


def _finite_test(column: Column) -> Callable[[Any], bool]:
    """Make a function that tells whether a value of the column holds numbers only."""
    if column.array:
        return lambda value: bool(finite(value) == value)
    return Decimal.is_finite if column.type == "numeric" else isfinite
