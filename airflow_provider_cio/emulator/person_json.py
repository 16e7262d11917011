"""The JSON of Track API operations on people."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Raw, Struct

from airflow_provider_cio.emulator.identifiers_json import (
    PersonIdentifiers,
    ToObject,
    relationships_of_person,
)
from airflow_provider_cio.emulator.operations import (
    AddRelationships,
    DeletePerson,
    DeleteRelationships,
    IdentifyPerson,
    Operation,
    Relationship,
    Unapplied,
)
from airflow_provider_cio.emulator.validation import (
    RawAttributes,
    check_attributes,
    event_operation,
    pop_flag,
)

#: Unix seconds until the end of the year 9999.
Timestamp: TypeAlias = Annotated[int, Meta(ge=0, le=253_402_300_799)]


class PersonIdentify(Struct):
    """``person`` ``identify``."""

    identifiers: PersonIdentifiers
    attributes: RawAttributes = {}
    cio_relationships: list[ToObject] = []
    timestamp: Timestamp | None = None

    def operation(self) -> Operation:
        """Return the operation."""
        person = self.identifiers.ref("identifiers")
        return IdentifyPerson(
            person=person,
            update_only=pop_flag(self.attributes, "_update"),
            attributes=check_attributes(self.attributes, "attributes"),
            timestamp=self.timestamp,
            relationships=relationships_of_person(person, self.cio_relationships),
        )


class PersonRelationships(Struct):
    """The fields of both relationship actions of a person."""

    identifiers: PersonIdentifiers
    cio_relationships: list[ToObject]

    def relationships(self) -> list[Relationship]:
        """Return the relationships."""
        return relationships_of_person(self.identifiers.ref("identifiers"), self.cio_relationships)


class PersonAddRelationships(PersonRelationships):
    """``person`` ``add_relationships``."""

    def operation(self) -> Operation:
        """Return the operation."""
        return AddRelationships(self.relationships())


class PersonDeleteRelationships(PersonRelationships):
    """``person`` ``delete_relationships``."""

    def operation(self) -> Operation:
        """Return the operation."""
        return DeleteRelationships(self.relationships())


class PersonDelete(Struct):
    """``person`` ``delete``."""

    identifiers: PersonIdentifiers

    def operation(self) -> Operation:
        """Return the operation."""
        return DeletePerson(self.identifiers.ref("identifiers"))


class PersonEvent(Struct):
    """``person`` ``event``, ``screen`` or ``page``."""

    action: Literal["event", "screen", "page"]
    identifiers: PersonIdentifiers
    name: str
    attributes: Raw = Raw(b"{}")
    timestamp: Timestamp | None = None

    def operation(self) -> Operation:
        """Return the operation."""
        person = self.identifiers.ref("identifiers")
        return event_operation(person, self.action, self.name, self.attributes)


class Device(Struct):
    """The device of a person."""

    token: str


class PersonDevice(Struct):
    """``person`` ``add_device`` or ``delete_device``."""

    identifiers: PersonIdentifiers
    device: Device

    def operation(self) -> Operation:
        """Return the operation."""
        self.identifiers.ref("identifiers")
        return Unapplied()


class PersonMerge(Struct):
    """``person`` ``merge``."""

    primary: PersonIdentifiers
    secondary: PersonIdentifiers

    def operation(self) -> Operation:
        """Return the operation."""
        self.primary.ref("primary")
        self.secondary.ref("secondary")
        return Unapplied()


class PersonSuppression(Struct):
    """``person`` ``suppress`` or ``unsuppress``."""

    identifiers: PersonIdentifiers

    def operation(self) -> Operation:
        """Return the operation."""
        self.identifiers.ref("identifiers")
        return Unapplied()
