"""The JSON of Track API operations on objects."""

from __future__ import annotations

from msgspec import Struct

from airflow_provider_cio.emulator.identifiers_json import (
    ObjectIdentifiers,
    ToPerson,
    relationships_of_object,
)
from airflow_provider_cio.emulator.operations import (
    AddRelationships,
    DeleteObject,
    DeleteRelationships,
    IdentifyObject,
    Operation,
    Relationship,
    Unapplied,
)
from airflow_provider_cio.emulator.validation import RawAttributes, check_attributes, without_empty


class ObjectIdentify(Struct):
    """``object`` ``identify``."""

    identifiers: ObjectIdentifiers
    attributes: RawAttributes = {}
    cio_relationships: list[ToPerson] = []

    def operation(self) -> Operation:
        """Return the operation."""
        target = self.identifiers.ref("identifiers")
        attributes = check_attributes(self.attributes, "attributes")
        return IdentifyObject(
            target, without_empty(attributes), relationships_of_object(target, self.cio_relationships)
        )


class ObjectIdentifyAnonymous(Struct):
    """``object`` ``identify_anonymous``."""

    identifiers: ObjectIdentifiers

    def operation(self) -> Operation:
        """Return the operation."""
        self.identifiers.ref("identifiers")
        return Unapplied()


class ObjectRelationships(Struct):
    """The fields of both relationship actions of an object."""

    identifiers: ObjectIdentifiers
    cio_relationships: list[ToPerson]

    def relationships(self) -> list[Relationship]:
        """Return the relationships."""
        return relationships_of_object(self.identifiers.ref("identifiers"), self.cio_relationships)


class ObjectAddRelationships(ObjectRelationships):
    """``object`` ``add_relationships``."""

    def operation(self) -> Operation:
        """Return the operation."""
        return AddRelationships(self.relationships())


class ObjectDeleteRelationships(ObjectRelationships):
    """``object`` ``delete_relationships``."""

    def operation(self) -> Operation:
        """Return the operation."""
        return DeleteRelationships(self.relationships())


class ObjectDelete(Struct):
    """``object`` ``delete``."""

    identifiers: ObjectIdentifiers

    def operation(self) -> Operation:
        """Return the operation."""
        return DeleteObject(self.identifiers.ref("identifiers"))
