"""The operations of valid requests, independent of the API version and of JSON."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

from msgspec import Struct

#: New values by attribute name. Customer.io stores text; None removes the attribute.
Attributes: TypeAlias = dict[str, str | None]

PersonKey: TypeAlias = Literal["id", "email", "cio_id"]
IDENTIFIERS: tuple[PersonKey, ...] = ("id", "email", "cio_id")


class PersonRef(NamedTuple):
    """The identifier with which a request refers to a person."""

    key: PersonKey
    value: str


class ObjectRef(NamedTuple):
    """The identifiers with which a request refers to an object: type and id, or ``cio_object_id`` alone."""

    object_type_id: str = ""
    object_id: str = ""
    cio_object_id: str = ""


class Relationship(NamedTuple):
    """One person, one object, and the attributes of their relationship."""

    person: PersonRef
    object: ObjectRef
    attributes: Attributes


class IdentifyPerson(Struct, frozen=True):
    """Create or update a person.

    Args:
        person: The person.
        attributes: The new values.
        update_only: Do nothing if the person does not exist.
        timestamp: The Unix seconds at which the values were current; None is now.
        relationships: Relationships to add.
    """

    person: PersonRef
    attributes: Attributes
    update_only: bool = False
    timestamp: int | None = None
    relationships: list[Relationship] = []


class DeletePerson(Struct, frozen=True):
    """Delete a person with all relationships and segment memberships."""

    person: PersonRef


class RecordEvent(Struct, frozen=True):
    """Record an event, a screen view or a page view of a person; ``activity`` is the kind."""

    person: PersonRef
    activity: str
    name: str
    data: dict[str, Any]


class IdentifyObject(Struct, frozen=True):
    """Create or update an object."""

    object: ObjectRef
    attributes: Attributes
    relationships: list[Relationship] = []


class DeleteObject(Struct, frozen=True):
    """Delete an object with all its relationships."""

    object: ObjectRef


class AddRelationships(Struct, frozen=True):
    """Add relationships, or change the attributes of existing ones."""

    relationships: list[Relationship]


class DeleteRelationships(Struct, frozen=True):
    """Delete relationships."""

    relationships: list[Relationship]


class Unapplied(Struct, frozen=True):
    """A valid operation that the emulator does not apply.

    Devices, merges, suppression, deliveries and anonymous people.
    """


Operation: TypeAlias = (
    IdentifyPerson
    | DeletePerson
    | RecordEvent
    | IdentifyObject
    | DeleteObject
    | AddRelationships
    | DeleteRelationships
    | Unapplied
)
