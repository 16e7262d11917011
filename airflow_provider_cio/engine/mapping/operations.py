"""Operations of the Track API, one for each row, encoded as they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: An attribute that Customer.io does not store. If it is true, the operation creates no person.
UPDATE_ONLY = "_update"
#: The columns that can identify a person.
Identifier: TypeAlias = Literal["id", "email"]

_encoder = msgspec.json.Encoder(decimal_format="number")
_encode, _encode_lines = _encoder.encode, _encoder.encode_lines


class Operation(msgspec.Struct, gc=False):
    """One row, ready to be sent.

    Args:
        row_index: The index of the row in the query's result, from 1.
        order_key: Operations with the same key are applied in row order.
        body: The JSON of the operation.
    """

    row_index: int
    order_key: str
    body: bytes

    @property
    def identifier(self) -> str:
        """The identifier of the person or the object, as it is sent."""
        identifiers = _read_identifiers(self.body).identifiers
        return identifiers.id or identifiers.email or identifiers.object_id

    @property
    def key(self) -> tuple[str, ...]:
        """The identifiers of the row: the person or the object; for a relationship, both."""
        objects = (each.identifiers.object_id for each in _read_identifiers(self.body).cio_relationships)
        return (self.identifier, *objects)

    @property
    def person(self) -> tuple[Identifier, str]:
        """The type and the value of the person's identifier."""
        identifiers = _read_identifiers(self.body).identifiers
        return ("id", identifiers.id) if identifiers.id else ("email", identifiers.email)

    def values(self) -> dict[str, Any]:
        """Return the values of the row as they are sent, by column. Numbers and nested values stay JSON."""
        operation = _read_operation(self.body)
        operation.attributes.pop(UPDATE_ONLY, None)  # it is not a column
        values = operation.identifiers | _plain(operation.attributes)
        for relationship in operation.cio_relationships:
            values |= relationship.identifiers | _plain(relationship.relationship_attributes)
            values["deleted"] = operation.action == "delete_relationships"
        return values


# What is sent.


class PersonId(msgspec.Struct, gc=False):
    """A person, identified by id."""

    id: str


class PersonEmail(msgspec.Struct, gc=False):
    """A person, identified by email address."""

    email: str


def person_identifiers(identifier: Identifier) -> Callable[[str], PersonId | PersonEmail]:
    """Return the struct that identifies a person by this column."""
    return PersonId if identifier == "id" else PersonEmail


class ObjectId(msgspec.Struct, gc=False):
    """An object, identified by its type and id."""

    object_type_id: str
    object_id: str


class IdentifyPerson(msgspec.Struct, tag_field="type", tag="person", gc=False):
    """Create or update a person."""

    identifiers: PersonId | PersonEmail
    attributes: Any
    action: str = "identify"


class IdentifyObject(msgspec.Struct, tag_field="type", tag="object", gc=False):
    """Create or update an object."""

    identifiers: ObjectId
    attributes: Any
    action: str = "identify"


class Relationship(msgspec.Struct, omit_defaults=True, gc=False):
    """The object of a relationship, and the attributes of the relationship."""

    identifiers: ObjectId
    relationship_attributes: Any = None


class RelatePerson(msgspec.Struct, tag_field="type", tag="person", gc=False):
    """Add or remove a relationship of a person."""

    identifiers: PersonId | PersonEmail
    action: str
    cio_relationships: tuple[Relationship]


def encode(payloads: Iterable[msgspec.Struct], *, contain_json: bool) -> list[bytes]:
    """Encode operations as JSON.

    Args:
        payloads: The operations.
        contain_json: Whether their values include columns of JSON, which can contain line breaks.
    """
    if contain_json:
        return list(map(_encode, payloads))
    # One call is faster, and our own JSON has no line breaks. It takes a list: given an iterator, msgspec
    # would keep the items.
    return _encode_lines(list(payloads)).split(b"\n")[:-1]


# What is read back from an encoded operation, for its rejection.


class _AnyIdentifiers(msgspec.Struct):
    id: str = ""
    email: str = ""
    object_id: str = ""


class _WithObject(msgspec.Struct):
    identifiers: _AnyIdentifiers


class _WithIdentifiers(msgspec.Struct):
    identifiers: _AnyIdentifiers
    cio_relationships: list[_WithObject] = []


class _AnyRelationship(msgspec.Struct):
    identifiers: dict[str, Any]
    relationship_attributes: dict[str, msgspec.Raw] = {}


class _AnyOperation(msgspec.Struct):
    action: str
    identifiers: dict[str, Any]
    attributes: dict[str, msgspec.Raw] = {}
    cio_relationships: list[_AnyRelationship] = []


_read_identifiers = msgspec.json.Decoder(_WithIdentifiers).decode
_read_operation = msgspec.json.Decoder(_AnyOperation).decode
_read_plain = msgspec.json.Decoder(str | bool | None).decode


def _plain(attributes: dict[str, msgspec.Raw]) -> dict[str, Any]:
    """Decode texts, booleans and NULLs. Other values stay JSON, so that no number loses a digit."""
    values: dict[str, Any] = {}
    for name, encoded in attributes.items():
        try:
            values[name] = _read_plain(encoded)
        except msgspec.ValidationError:
            values[name] = encoded
    return values
