"""The JSON with which an operation identifies people and objects, also in relationships."""

from __future__ import annotations

import re

from msgspec import UNSET, Struct, UnsetType

from airflow_provider_cio.emulator.operations import ObjectRef, PersonRef, Relationship
from airflow_provider_cio.emulator.validation import (
    RawAttributes,
    check_attributes,
    check_id,
    invalid,
    required,
    without_empty,
)

_OBJECT_TYPE_ID = re.compile("[1-9][0-9]{0,8}")


class PersonIdentifiers(Struct):
    """Identify a person by exactly one identifier.

    Some workspaces allow phone numbers as identifiers; the emulated one does not.
    """

    id: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    cio_id: str | UnsetType = UNSET

    def ref(self, path: str) -> PersonRef:
        """Return a reference to the person.

        Args:
            path: The path of the identifiers.

        Raises:
            RejectedError: There is not exactly one identifier, or it is not valid.
        """
        given = [key for key in ("id", "email", "phone", "cio_id") if getattr(self, key) is not UNSET]
        if not given:
            raise required(path)
        if len(given) > 1:
            raise invalid(path, f"exactly one identifier is allowed, got {' and '.join(given)}")
        key: str = given[0]
        if key == "phone":
            raise invalid(f"{path}.phone", "phone is not an identifier of this workspace")
        return PersonRef(key, check_id(getattr(self, key), f"{path}.{key}"))  # type: ignore[arg-type]


class ObjectIdentifiers(Struct):
    """Identify an object by type and id, or by ``cio_object_id``."""

    object_type_id: str | UnsetType = UNSET
    object_id: str | UnsetType = UNSET
    cio_object_id: str | UnsetType = UNSET

    def ref(self, path: str) -> ObjectRef:
        """Return a reference to the object.

        Args:
            path: The path of the identifiers.

        Raises:
            RejectedError: An identifier is missing, not valid, or one too many.
        """
        if self.cio_object_id is not UNSET:
            if self.object_type_id is not UNSET or self.object_id is not UNSET:
                raise invalid(path, "cio_object_id cannot be combined with other identifiers")
            return ObjectRef(cio_object_id=check_id(self.cio_object_id, f"{path}.cio_object_id"))
        if self.object_type_id is UNSET:
            raise required(f"{path}.object_type_id")
        if self.object_id is UNSET:
            raise required(f"{path}.object_id")
        if not _OBJECT_TYPE_ID.fullmatch(self.object_type_id):
            raise invalid(f"{path}.object_type_id", "object_type_id must be the text of an integer from 1")
        return ObjectRef(self.object_type_id, check_id(self.object_id, f"{path}.object_id"))


class ToObject(Struct):
    """One relationship of a person: the object and the attributes."""

    identifiers: ObjectIdentifiers
    relationship_attributes: RawAttributes = {}


class ToPerson(Struct):
    """One relationship of an object: the person and the attributes."""

    identifiers: PersonIdentifiers
    relationship_attributes: RawAttributes = {}


def relationships_of_person(person: PersonRef, others: list[ToObject]) -> list[Relationship]:
    """Return the relationships of one person.

    Raises:
        RejectedError: An object or an attribute is not valid.
    """
    return [
        Relationship(
            person,
            other.identifiers.ref(f"cio_relationships[{index}].identifiers"),
            _attributes(other, index),
        )
        for index, other in enumerate(others)
    ]


def relationships_of_object(target: ObjectRef, others: list[ToPerson]) -> list[Relationship]:
    """Return the relationships of one object.

    Raises:
        RejectedError: A person or an attribute is not valid.
    """
    return [
        Relationship(
            other.identifiers.ref(f"cio_relationships[{index}].identifiers"),
            target,
            _attributes(other, index),
        )
        for index, other in enumerate(others)
    ]


def _attributes(other: ToObject | ToPerson, index: int) -> dict[str, str | None]:
    path = f"cio_relationships[{index}].relationship_attributes"
    return without_empty(check_attributes(other.relationship_attributes, path))
