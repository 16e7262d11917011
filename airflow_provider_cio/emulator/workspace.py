"""The effects of operations on a workspace: identities, changes, and changes that fail after acceptance."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_cio.emulator.documents import Failures, failure, merge
from airflow_provider_cio.emulator.limits import MAX_DOCUMENT_BYTES, MAX_ID_BYTES
from airflow_provider_cio.emulator.operations import (
    IDENTIFIERS,
    AddRelationships,
    Attributes,
    DeleteObject,
    DeletePerson,
    DeleteRelationships,
    IdentifyObject,
    IdentifyPerson,
    ObjectRef,
    Operation,
    PersonKey,
    PersonRef,
    RecordEvent,
    Relationship,
    Unapplied,
)
from airflow_provider_cio.emulator.records import CustomObject, Person
from airflow_provider_cio.emulator.validation import is_longer_than

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.store import Store

_ATOM = r"[^\s()<>\[\]:;@\\,.\"\x00-\x20\x7f]+"
#: An email address (``addr-spec`` of RFC 5322) without comments and folding.
_EMAIL = re.compile(
    rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\\r\n]|\\.)*")@(?:{_ATOM}(?:\.{_ATOM})*|\[[^\[\]\\]*\])'
)


@dataclass(frozen=True)
class Workspace:
    """Apply valid operations to a store, in their order."""

    store: Store

    def apply(self, operation: Operation) -> None:
        """Apply one operation. A change that the rules forbid becomes an activity, and never an error."""
        match operation:
            case IdentifyPerson():
                self._identify_person(operation)
            case DeletePerson():
                self._delete_person(operation.person)
            case RecordEvent():
                self._record_event(operation)
            case IdentifyObject():
                self._identify_object(operation)
            case DeleteObject():
                self._delete_object(operation.object)
            case AddRelationships():
                self._add_relationships(operation.relationships)
            case DeleteRelationships():
                self._delete_relationships(operation.relationships)
            case Unapplied():
                pass

    def _identify_person(self, operation: IdentifyPerson) -> None:
        at = operation.timestamp or int(time.time())
        ref = operation.person
        person = self.store.person(ref)
        if person is None:
            if operation.update_only or ref.key == "cio_id":
                return  # As documented, a request without a match does nothing.
            person = self._new_or_claimed(ref, operation.attributes, at)
        if person is None:
            return
        before = dict(person.attributes)
        attributes = dict(operation.attributes)
        failures = self._change_identifiers(person, ref, attributes, at)
        failures |= merge(person.attributes, attributes, at)
        if person.key is None or person.attributes != before:
            self.store.save_person(person)
        if failures:
            self._note_failure("failed_attribute_change", person, failures)
        self._add_relationships(operation.relationships)

    def _new_or_claimed(self, ref: PersonRef, attributes: Attributes, at: int) -> Person | None:
        """Return the person who gets a new identifier: one without it that the attributes name, or a new one.

        Returns:
            The person; None, after recording an activity, if the identifier is not valid.
        """
        if ref.key == "email" and not _EMAIL.fullmatch(ref.value):
            failures = {"email": failure(None, ref.value, "not a valid email address")}
            content = {
                "customer_id": None,
                "customer_identifiers": {"email": ref.value, "id": None, "cio_id": None},
            }
            self.store.add_activity("failed_attribute_change", None, content | {"data": failures})
            return None
        other: PersonKey = "email" if ref.key == "id" else "id"
        value = attributes.get(other)
        claimed = self.store.person(PersonRef(other, value)) if value else None
        if claimed is None or ref.key in claimed.attributes:
            return Person(at, {ref.key: (ref.value, at)})
        claimed.attributes[ref.key] = (ref.value, at)
        # Save it now: the caller saves a person only if it differs from the stored one.
        self.store.save_person(claimed)
        return claimed

    def _change_identifiers(
        self, person: Person, ref: PersonRef, attributes: Attributes, at: int
    ) -> Failures:
        """Move the identifiers from the attributes to the person, as far as the rules allow.

        Returns:
            The changes that the rules forbid.
        """
        failures: Failures = {}
        for key in IDENTIFIERS:
            if key not in attributes:
                continue
            value = attributes.pop(key)
            if value == "":
                value = None
            current = person.cio_id if key == "cio_id" else person.attributes.get(key, (None, 0))[0]
            if value == current or (
                key == "email" and value and current and value.lower() == current.lower()
            ):
                continue
            refusal = self._refusal(person, ref, key, value)
            if refusal:
                failures[key] = failure(current, value, refusal)
            elif value is None:
                del person.attributes[key]
            else:
                person.attributes[key] = (value, at)
        return failures

    def _refusal(self, person: Person, ref: PersonRef, key: PersonKey, value: str | None) -> str | None:
        """Return why an identifier of a person cannot become `value`; None if it can."""
        if value is None:
            # The email of a person with an id can be removed, unless the request identifies the person by it.
            removable = key == "email" and ref.key != "email" and person.id
            return None if removable else f"{key} cannot be removed"
        if key == "cio_id" or (key in person.attributes and ref.key != "cio_id"):
            return f"{key} is already set"
        if key == "email" and not _EMAIL.fullmatch(value):
            return "not a valid email address"
        if is_longer_than(value, MAX_ID_BYTES):
            return f"{key} cannot be longer than {MAX_ID_BYTES} bytes"
        owner = self.store.person(PersonRef(key, value))
        if owner is not None and owner.key != person.key:
            return f"{key} belongs to another person"
        return None

    def _delete_person(self, ref: PersonRef) -> None:
        person = self.store.person(ref)
        if person is not None:
            self.store.add_activity("profile_delete", person, _identified(person) | {"data": {}})
            self.store.delete_person(person)

    def _record_event(self, operation: RecordEvent) -> None:
        person = self._person(operation.person)
        if person is not None:
            content = _identified(person) | {"name": operation.name, "data": operation.data}
            self.store.add_activity(operation.activity, person, content)

    def _identify_object(self, operation: IdentifyObject) -> None:
        custom_object = self._custom_object(operation.object)
        if custom_object is None:
            return
        before = dict(custom_object.attributes)
        failures = merge(custom_object.attributes, operation.attributes, int(time.time()), MAX_DOCUMENT_BYTES)
        if custom_object.attributes != before:
            self.store.save_object(custom_object)
        if failures:
            content = {
                "object_type_id": custom_object.object_type_id,
                "object_id": custom_object.object_id,
                "data": failures,
            }
            self.store.add_activity(
                f"_o:{custom_object.object_type_id}:failed_attribute_change", None, content
            )
        self._add_relationships(operation.relationships)

    def _delete_object(self, ref: ObjectRef) -> None:
        custom_object = self.store.custom_object(ref)
        if custom_object is not None:
            self.store.delete_object(custom_object)

    # Whether Customer.io creates the missing side of a relationship is not documented. The emulator creates
    # both sides, so that the order of relationships and identifications does not change the result.

    def _add_relationships(self, relationships: list[Relationship]) -> None:
        at = int(time.time())
        for relationship in relationships:
            person, custom_object = (
                self._person(relationship.person),
                self._custom_object(relationship.object),
            )
            if person is None or custom_object is None:
                continue
            current = self.store.relationship(person, custom_object)
            attributes = dict(current or {})
            failures = merge(attributes, relationship.attributes, at, MAX_DOCUMENT_BYTES)
            if attributes != current:
                self.store.save_relationship(person, custom_object, attributes)
            if failures:
                self._note_failure("relationship_failed_attribute_change", person, failures)

    def _delete_relationships(self, relationships: list[Relationship]) -> None:
        for relationship in relationships:
            person, custom_object = (
                self.store.person(relationship.person),
                self.store.custom_object(relationship.object),
            )
            if person is not None and custom_object is not None:
                self.store.delete_relationship(person, custom_object)

    def _person(self, ref: PersonRef) -> Person | None:
        """Return the person, who is created if missing; None if that is not possible."""
        person = self.store.person(ref)
        if person is None and ref.key != "cio_id":
            person = self._new_or_claimed(ref, {}, int(time.time()))
            if person is not None:
                self.store.save_person(person)
        return person

    def _custom_object(self, ref: ObjectRef) -> CustomObject | None:
        """Return the object, which is created if missing; None for an unknown ``cio_object_id``."""
        custom_object = self.store.custom_object(ref)
        if custom_object is None and not ref.cio_object_id:
            custom_object = CustomObject(ref.object_type_id, ref.object_id, int(time.time()), {})
            self.store.save_object(custom_object)
        return custom_object

    def _note_failure(self, activity: str, person: Person, failures: Failures) -> None:
        self.store.add_activity(activity, person, _identified(person) | {"data": failures})


def _identified(person: Person) -> dict[str, object]:
    """Return the part of an activity that identifies its person."""
    return {"customer_id": person.id, "customer_identifiers": person.identifiers}


def as_person_key(key: str) -> PersonKey | None:
    """Return the identifier that an ``id_type`` names; None if there is none."""
    return next((known for known in IDENTIFIERS if known == key), None)
