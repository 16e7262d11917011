"""The records of a workspace: people, objects, relationships, segments and activities."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

#: The attributes of a record by name, with the Unix seconds of their last change.
Document: TypeAlias = dict[str, tuple[str, int]]

_PERSON_PREFIX = "a3"
_OBJECT_PREFIX = "ob"

decode_document = msgspec.json.Decoder(Document).decode
_encode = msgspec.json.Encoder().encode


def encode_json(value: object) -> str:
    """Encode a value for a text column of SQLite."""
    return _encode(value).decode()


class Person(Struct):
    """A person.

    Args:
        created: When the person was created, in Unix seconds.
        attributes: The attributes, with the identifiers id and email.
        key: The row in SQLite; None before the person is saved.
    """

    created: int
    attributes: Document
    key: int | None = None

    @property
    def id(self) -> str | None:
        """The id that the workspace's owner chose."""
        return self.attributes["id"][0] if "id" in self.attributes else None

    @property
    def email(self) -> str | None:
        """The email address."""
        return self.attributes["email"][0] if "email" in self.attributes else None

    @property
    def cio_id(self) -> str:
        """The identifier that never changes; empty before the person is saved."""
        return "" if self.key is None else f"{_PERSON_PREFIX}{self.key:06x}"

    @property
    def identifiers(self) -> dict[str, str | None]:
        """All three identifiers, in the JSON of the App API."""
        return {"email": self.email, "id": self.id, "cio_id": self.cio_id}


class CustomObject(Struct):
    """An object.

    Args:
        object_type_id: The type.
        object_id: The id within the type.
        created: When the object was created, in Unix seconds.
        attributes: The attributes.
        key: The row in SQLite; None before the object is saved.
    """

    object_type_id: str
    object_id: str
    created: int
    attributes: Document
    key: int | None = None

    @property
    def cio_object_id(self) -> str:
        """The identifier that never changes."""
        return f"{_OBJECT_PREFIX}{self.key:06x}"


class StoredRelationship(Struct):
    """A relationship with both of its sides."""

    person: Person
    custom_object: CustomObject
    attributes: Document


class Segment(Struct):
    """A segment; `type` is ``manual`` or ``dynamic``."""

    id: int
    name: str
    description: str
    type: str
    created: int


class Activity(Struct):
    """An entry of the activity log; `content` is a JSON object."""

    key: int
    type: str
    at: int
    content: dict[str, Any]


def person_of(row: tuple[int, int, str]) -> Person:
    """Return the person in a row of SQLite."""
    return Person(key=row[0], created=row[1], attributes=decode_document(row[2]))


def object_of(row: tuple[int, str, str, int, str]) -> CustomObject:
    """Return the object in a row of SQLite."""
    return CustomObject(row[1], row[2], row[3], decode_document(row[4]), key=row[0])


def person_key(cio_id: str) -> int | None:
    """Return the row that a ``cio_id`` names; None if it is not the emulator's."""
    return _key(_PERSON_PREFIX, cio_id)


def object_key(cio_object_id: str) -> int | None:
    """Return the row that a ``cio_object_id`` names; None if it is not the emulator's."""
    return _key(_OBJECT_PREFIX, cio_object_id)


def _key(prefix: str, text: str) -> int | None:
    found = re.fullmatch(prefix + "([0-9a-f]{6,15})", text)
    return int(found[1], 16) if found else None
