"""Operations of the Track API: one row each, encoded as it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_cio.engine.queries import Identifier

_encoder = msgspec.json.Encoder(decimal_format="number")
_encode, _encode_lines = _encoder.encode, _encoder.encode_lines


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
        """Who or what it is about, as it is sent: an id, an e-mail address, an object id."""
        identifiers = _read_names(self.body).identifiers
        return identifiers.id or identifiers.email or identifiers.object_id

    @property
    def person(self) -> tuple[Identifier, str]:
        """How it names a person, and the name."""
        identifiers = _read_names(self.body).identifiers
        return ("id", identifiers.id) if identifiers.id else ("email", identifiers.email)

    def values(self) -> dict[str, Any]:
        """The row's values as they are sent, by column; numbers and what is nested stay JSON."""
        content = _read(self.body)
        values = content.identifiers | _plain(content.attributes)
        for relationship in content.cio_relationships:
            values |= relationship.identifiers | _plain(relationship.relationship_attributes)
            values["deleted"] = content.action == "delete_relationships"
        return values


class PersonId(msgspec.Struct, gc=False):
    """A person by id."""

    id: str


class PersonEmail(msgspec.Struct, gc=False):
    """A person by e-mail address."""

    email: str


class ObjectId(msgspec.Struct, gc=False):
    """An object."""

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
    """The object's end of a relationship, and its attributes."""

    identifiers: ObjectId
    relationship_attributes: Any = None


class RelatePerson(msgspec.Struct, tag_field="type", tag="person", gc=False):
    """Set or remove a relationship of a person."""

    identifiers: PersonId | PersonEmail
    action: str
    cio_relationships: tuple[Relationship]


class _AnyIdentifiers(msgspec.Struct):
    id: str = ""
    email: str = ""
    object_id: str = ""


class _Named(msgspec.Struct):
    identifiers: _AnyIdentifiers


class _AnyRelationship(msgspec.Struct):
    identifiers: dict[str, Any]
    relationship_attributes: dict[str, msgspec.Raw] = {}


class _AnyOperation(msgspec.Struct):
    action: str
    identifiers: dict[str, Any]
    attributes: dict[str, msgspec.Raw] = {}
    cio_relationships: list[_AnyRelationship] = []


_read_names = msgspec.json.Decoder(_Named).decode
_read = msgspec.json.Decoder(_AnyOperation).decode
_read_plain = msgspec.json.Decoder(str | bool | None).decode


def _plain(attributes: dict[str, msgspec.Raw]) -> dict[str, Any]:
    """Read texts, booleans and NULLs; no number is too large to be kept as it was sent."""
    values: dict[str, Any] = {}
    for name, sent in attributes.items():
        try:
            values[name] = _read_plain(sent)
        except msgspec.ValidationError:
            values[name] = sent
    return values


Content: TypeAlias = IdentifyPerson | IdentifyObject | RelatePerson


def bodies_of(contents: Iterable[Content], *, hold_json: bool) -> list[bytes]:
    """Write operations as JSON.

    Args:
        contents: The operations.
        hold_json: Whether there are columns of JSON among their values, which may have line breaks.
    """
    if hold_json:
        return list(map(_encode, contents))
    # All in one go: JSON of our own has no line breaks. Not from an iterator: msgspec would keep its items.
    return _encode_lines(list(contents)).split(b"\n")[:-1]
