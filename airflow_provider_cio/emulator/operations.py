"""What a request asks for, once it has been found valid."""

from typing import Any, Literal, NamedTuple, TypeAlias

from msgspec import Struct

Attributes: TypeAlias = dict[str, str | None]
"""New values by attribute name, as Customer.io keeps them (text); None removes the attribute."""

PersonKey: TypeAlias = Literal["id", "email", "cio_id"]


class PersonRef(NamedTuple):
    """A person as a request names one."""

    key: PersonKey
    value: str


class ObjectRef(NamedTuple):
    """An object as a request names one: by type and id, or by ``cio_object_id`` alone."""

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

    ``update_only`` creates nobody. ``timestamp``: when the values were true, in Unix seconds; None is now.
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
    """Note an event, screen or page view (``activity``) of a person."""

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
    """Relate people and objects, or change the attributes of their relationships."""

    relationships: list[Relationship]


class DeleteRelationships(Struct, frozen=True):
    """End relationships."""

    relationships: list[Relationship]


class Unapplied(Struct, frozen=True):
    """Valid, and changes nothing here: devices, merges, suppression, deliveries, anonymous people."""


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
