"""What operations do to a workspace: who is who, which changes apply, and which fail once accepted."""

import re
import time
from typing import TypeAlias

from airflow_provider_cio.emulator.limits import MAX_ATTRIBUTES, MAX_DOCUMENT_BYTES, MAX_ID_BYTES, longer_than
from airflow_provider_cio.emulator.operations import (
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
from airflow_provider_cio.emulator.store import Document, Person, Store, Thing

Failures: TypeAlias = dict[str, dict[str, str]]
"""Changes that did not apply, by attribute: ``from``, ``to`` and why (``error``)."""

IDENTIFIERS: tuple[PersonKey, ...] = ("id", "email", "cio_id")

_ATOM = r"[^\s()<>\[\]:;@\\,.\"\x00-\x20\x7f]+"
EMAIL = re.compile(
    rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\\r\n]|\\.)*")@(?:{_ATOM}(?:\.{_ATOM})*|\[[^\[\]\\]*\])'
)
"""An address as RFC 5322 has it (``addr-spec``), without comments and folding."""


class Workspace:
    """Applies valid operations to a store, one after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def apply(self, operation: Operation) -> None:
        """Carry out one operation. What the rules forbid becomes an activity, never an error."""
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
        person = self._store.person(ref)
        if person is None:
            if operation.update_only or ref.key == "cio_id":
                return  # Documented: without a match the request does nothing.
            person = self._new_or_claimed(ref, operation.attributes, at)
        if person is None:
            return
        before = dict(person.attributes)
        attributes = dict(operation.attributes)
        failures = self._change_identifiers(person, ref, attributes, at)
        failures |= merge(person.attributes, attributes, at)
        if person.key is None or person.attributes != before:
            self._store.save_person(person)
        if failures:
            self._note_failure("failed_attribute_change", person, failures)
        self._add_relationships(operation.relationships)

    def _new_or_claimed(self, ref: PersonRef, attributes: Attributes, at: int) -> Person | None:
        """Who gets an identifier that nobody has: a new person, or one known by the other identifier only.

        None, with an activity, if it cannot be an identifier at all.
        """
        if ref.key == "email" and not EMAIL.fullmatch(ref.value):
            failures = {"email": failure(None, ref.value, "not a valid email address")}
            content = {
                "customer_id": None,
                "customer_identifiers": {"email": ref.value, "id": None, "cio_id": None},
            }
            self._store.add_activity("failed_attribute_change", None, content | {"data": failures})
            return None
        other: PersonKey = "email" if ref.key == "id" else "id"
        value = attributes.get(other)
        claimed = self._store.person(PersonRef(other, value)) if value else None
        if claimed is None or ref.key in claimed.attributes:
            return Person(at, {ref.key: (ref.value, at)})
        claimed.attributes[ref.key] = (ref.value, at)
        # Saved at once: whoever got a person to change compares it with what is saved.
        self._store.save_person(claimed)
        return claimed

    def _change_identifiers(
        self, person: Person, ref: PersonRef, attributes: Attributes, at: int
    ) -> Failures:
        """Move the identifiers among the attributes over to the person, as far as the rules allow."""
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
        """Why an identifier of the person cannot become `value`; None if it can."""
        if value is None:
            # An email may go from a person with an id, but never the identifier that the request names.
            removable = key == "email" and ref.key != "email" and person.id
            return None if removable else f"{key} cannot be removed"
        if key == "cio_id" or (key in person.attributes and ref.key != "cio_id"):
            return f"{key} is already set"
        if key == "email" and not EMAIL.fullmatch(value):
            return "not a valid email address"
        if longer_than(value, MAX_ID_BYTES):
            return f"{key} cannot be longer than {MAX_ID_BYTES} bytes"
        owner = self._store.person(PersonRef(key, value))
        if owner is not None and owner.key != person.key:
            return f"{key} belongs to another person"
        return None

    def _delete_person(self, ref: PersonRef) -> None:
        person = self._store.person(ref)
        if person is not None:
            self._store.add_activity("profile_delete", person, identified(person) | {"data": {}})
            self._store.delete_person(person)

    def _record_event(self, operation: RecordEvent) -> None:
        person = self._person(operation.person)
        if person is not None:
            content = identified(person) | {"name": operation.name, "data": operation.data}
            self._store.add_activity(operation.activity, person, content)

    def _identify_object(self, operation: IdentifyObject) -> None:
        thing = self._thing(operation.object)
        if thing is None:
            return
        before = dict(thing.attributes)
        failures = merge(thing.attributes, operation.attributes, int(time.time()), MAX_DOCUMENT_BYTES)
        if thing.attributes != before:
            self._store.save_thing(thing)
        if failures:
            content = {"object_type_id": thing.object_type_id, "object_id": thing.object_id, "data": failures}
            self._store.add_activity(f"_o:{thing.object_type_id}:failed_attribute_change", None, content)
        self._add_relationships(operation.relationships)

    def _delete_object(self, ref: ObjectRef) -> None:
        thing = self._store.thing(ref)
        if thing is not None:
            self._store.delete_thing(thing)

    # Whether Customer.io creates the missing side of a relationship is not documented. Here both sides are
    # created: who relates before identifying then ends with the same workspace as who keeps the order.

    def _add_relationships(self, relationships: list[Relationship]) -> None:
        at = int(time.time())
        for relationship in relationships:
            person, thing = self._person(relationship.person), self._thing(relationship.object)
            if person is None or thing is None:
                continue
            current = self._store.relationship(person, thing)
            attributes = dict(current or {})
            failures = merge(attributes, relationship.attributes, at, MAX_DOCUMENT_BYTES)
            if attributes != current:
                self._store.save_relationship(person, thing, attributes)
            if failures:
                self._note_failure("relationship_failed_attribute_change", person, failures)

    def _delete_relationships(self, relationships: list[Relationship]) -> None:
        for relationship in relationships:
            person, thing = self._store.person(relationship.person), self._store.thing(relationship.object)
            if person is not None and thing is not None:
                self._store.delete_relationship(person, thing)

    def _person(self, ref: PersonRef) -> Person | None:
        """The person, created if need be and possible."""
        person = self._store.person(ref)
        if person is None and ref.key != "cio_id":
            person = self._new_or_claimed(ref, {}, int(time.time()))
            if person is not None:
                self._store.save_person(person)
        return person

    def _thing(self, ref: ObjectRef) -> Thing | None:
        """The object, created if need be and possible: a ``cio_object_id`` only names existing ones."""
        thing = self._store.thing(ref)
        if thing is None and not ref.cio_object_id:
            thing = Thing(ref.object_type_id, ref.object_id, int(time.time()), {})
            self._store.save_thing(thing)
        return thing

    def _note_failure(self, activity: str, person: Person, failures: Failures) -> None:
        self._store.add_activity(activity, person, identified(person) | {"data": failures})


def merge(document: Document, changes: Attributes, at: int, max_bytes: int | None = None) -> Failures:
    """Apply the changes to the document.

    An unchanged value keeps its time, and a value newer than `at` (Unix seconds) is kept. Returns what would
    exceed 300 attributes (identifiers of people not counted) or `max_bytes` of names and values.
    """
    failures: Failures = {}
    for name, value in changes.items():
        current = document.get(name)
        if current is not None and (current[0] == value or current[1] > at):
            continue
        if value is None:
            document.pop(name, None)
        elif (
            current is None
            and len(document) >= MAX_ATTRIBUTES
            and len(document.keys() - IDENTIFIERS) >= MAX_ATTRIBUTES
        ):
            failures[name] = failure(None, value, f"more than {MAX_ATTRIBUTES} attributes")
        else:
            document[name] = (value, at)
            if max_bytes is not None and size(document) > max_bytes:
                failures[name] = failure(
                    current and current[0], value, f"more than {max_bytes} bytes of attributes"
                )
                if current is None:
                    del document[name]
                else:
                    document[name] = current
    return failures


def size(document: Document) -> int:
    """Bytes of all names and values."""
    return sum(len(name.encode()) + len(value.encode()) for name, (value, _) in document.items())


def failure(current: str | None, wanted: str | None, error: str) -> dict[str, str]:
    """A change that did not apply, as the activity log shows it."""
    return {"from": current or "", "to": wanted or "", "error": error}


def identified(person: Person) -> dict[str, object]:
    """Whose activity it is."""
    return {"customer_id": person.id, "customer_identifiers": person.identifiers}


def as_person_key(key: str) -> PersonKey | None:
    """The kind of identifier that an ``id_type`` names, None if there is no such kind."""
    return next((known for known in IDENTIFIERS if known == key), None)
