"""The JSON of Track API operations: its shape, and the way from there to a valid operation.

The shapes are types, so one pass of the decoder checks presence and type of every field. Only what types
cannot say (exactly one identifier, bytes, attribute limits) is checked by hand.
"""

import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from airflow_provider_cio.emulator.limits import (
    MAX_EVENT_DATA_BYTES,
    MAX_EVENT_NAME_BYTES,
    MAX_ID_BYTES,
    MAX_OPERATION_BYTES,
    Problem,
    RejectedError,
    attribute_problems,
    invalid,
    longer_than,
    required,
)
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
    PersonRef,
    RecordEvent,
    Relationship,
    Unapplied,
)

RawAttributes: TypeAlias = dict[str, Raw]

Timestamp: TypeAlias = Annotated[int, Meta(ge=0, le=253_402_300_799)]
"""Unix seconds until the end of the year 9999."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises when something is not JSON, or nested beyond all measure."""

_string = msgspec.json.Decoder(str)
_boolean = msgspec.json.Decoder(bool)
_event_data = msgspec.json.Decoder(dict[str, Any])


class PersonIdentifiers(Struct):
    """Names a person by exactly one identifier; by phone only in workspaces that allow it, unlike this."""

    id: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    cio_id: str | UnsetType = UNSET

    def ref(self, path: str) -> PersonRef:
        """The person meant.

        Raises:
            RejectedError: There is not exactly one identifier, or it is empty, too long or unusable.
        """
        given = [key for key in ("id", "email", "phone", "cio_id") if getattr(self, key) is not UNSET]
        if not given:
            raise required(path)
        if len(given) > 1:
            raise invalid(path, f"exactly one identifier is allowed, got {' and '.join(given)}")
        key: str = given[0]
        if key == "phone":
            raise invalid(f"{path}.phone", "phone is not an identifier of this workspace")
        return PersonRef(key, checked_id(getattr(self, key), f"{path}.{key}"))  # type: ignore[arg-type]


class ObjectIdentifiers(Struct):
    """Names an object by type and id, or by ``cio_object_id``."""

    object_type_id: str | UnsetType = UNSET
    object_id: str | UnsetType = UNSET
    cio_object_id: str | UnsetType = UNSET

    def ref(self, path: str) -> ObjectRef:
        """The object meant.

        Raises:
            RejectedError: An identifier is missing, superfluous, empty or too long, or the type is no number.
        """
        if self.cio_object_id is not UNSET:
            if self.object_type_id is not UNSET or self.object_id is not UNSET:
                raise invalid(path, "cio_object_id cannot be combined with other identifiers")
            return ObjectRef(cio_object_id=checked_id(self.cio_object_id, f"{path}.cio_object_id"))
        if self.object_type_id is UNSET:
            raise required(f"{path}.object_type_id")
        if self.object_id is UNSET:
            raise required(f"{path}.object_id")
        if not re.fullmatch("[1-9][0-9]{0,8}", self.object_type_id):
            raise invalid(f"{path}.object_type_id", "object_type_id must be the text of an integer from 1")
        return ObjectRef(self.object_type_id, checked_id(self.object_id, f"{path}.object_id"))


class ToObject(Struct):
    """The object side of a person's relationship."""

    identifiers: ObjectIdentifiers
    relationship_attributes: RawAttributes = {}


class ToPerson(Struct):
    """The person side of an object's relationship."""

    identifiers: PersonIdentifiers
    relationship_attributes: RawAttributes = {}


class PersonIdentify(Struct):
    """``person`` ``identify``."""

    identifiers: PersonIdentifiers
    attributes: RawAttributes = {}
    cio_relationships: list[ToObject] = []
    timestamp: Timestamp | None = None

    def operation(self) -> Operation:  # noqa: D102
        person = self.identifiers.ref("identifiers")
        return IdentifyPerson(
            person=person,
            update_only=take_flag(self.attributes, "_update"),
            attributes=checked_attributes(self.attributes, "attributes"),
            timestamp=self.timestamp,
            relationships=objects_of(person, self.cio_relationships),
        )


class PersonRelationships(Struct):
    """The fields of both relationship actions of a person."""

    identifiers: PersonIdentifiers
    cio_relationships: list[ToObject]

    def relationships(self) -> list[Relationship]:
        """The relationships named."""
        return objects_of(self.identifiers.ref("identifiers"), self.cio_relationships)


class PersonAddRelationships(PersonRelationships):
    """``person`` ``add_relationships``."""

    def operation(self) -> Operation:  # noqa: D102
        return AddRelationships(self.relationships())


class PersonDeleteRelationships(PersonRelationships):
    """``person`` ``delete_relationships``."""

    def operation(self) -> Operation:  # noqa: D102
        return DeleteRelationships(self.relationships())


class PersonDelete(Struct):
    """``person`` ``delete``."""

    identifiers: PersonIdentifiers

    def operation(self) -> Operation:  # noqa: D102
        return DeletePerson(self.identifiers.ref("identifiers"))


class PersonEvent(Struct):
    """``person`` ``event``, ``screen`` or ``page``."""

    action: Literal["event", "screen", "page"]
    identifiers: PersonIdentifiers
    name: str
    attributes: Raw = Raw(b"{}")
    timestamp: Timestamp | None = None

    def operation(self) -> Operation:  # noqa: D102
        person = self.identifiers.ref("identifiers")
        return event(person, self.action, self.name, self.attributes)


class PersonDevice(Struct):
    """``person`` ``add_device`` or ``delete_device``."""

    class Device(Struct):
        """A device is known by its token."""

        token: str

    identifiers: PersonIdentifiers
    device: Device

    def operation(self) -> Operation:  # noqa: D102
        self.identifiers.ref("identifiers")
        return Unapplied()


class PersonMerge(Struct):
    """``person`` ``merge``."""

    primary: PersonIdentifiers
    secondary: PersonIdentifiers

    def operation(self) -> Operation:  # noqa: D102
        self.primary.ref("primary")
        self.secondary.ref("secondary")
        return Unapplied()


class PersonSuppression(Struct):
    """``person`` ``suppress`` or ``unsuppress``."""

    identifiers: PersonIdentifiers

    def operation(self) -> Operation:  # noqa: D102
        self.identifiers.ref("identifiers")
        return Unapplied()


class ObjectIdentify(Struct):
    """``object`` ``identify``."""

    identifiers: ObjectIdentifiers
    attributes: RawAttributes = {}
    cio_relationships: list[ToPerson] = []

    def operation(self) -> Operation:  # noqa: D102
        target = self.identifiers.ref("identifiers")
        attributes = checked_attributes(self.attributes, "attributes")
        return IdentifyObject(target, without_empty(attributes), people_of(target, self.cio_relationships))


class ObjectIdentifyAnonymous(Struct):
    """``object`` ``identify_anonymous``."""

    identifiers: ObjectIdentifiers

    def operation(self) -> Operation:  # noqa: D102
        self.identifiers.ref("identifiers")
        return Unapplied()


class ObjectRelationships(Struct):
    """The fields of both relationship actions of an object."""

    identifiers: ObjectIdentifiers
    cio_relationships: list[ToPerson]

    def relationships(self) -> list[Relationship]:
        """The relationships named."""
        return people_of(self.identifiers.ref("identifiers"), self.cio_relationships)


class ObjectAddRelationships(ObjectRelationships):
    """``object`` ``add_relationships``."""

    def operation(self) -> Operation:  # noqa: D102
        return AddRelationships(self.relationships())


class ObjectDeleteRelationships(ObjectRelationships):
    """``object`` ``delete_relationships``."""

    def operation(self) -> Operation:  # noqa: D102
        return DeleteRelationships(self.relationships())


class ObjectDelete(Struct):
    """``object`` ``delete``."""

    identifiers: ObjectIdentifiers

    def operation(self) -> Operation:  # noqa: D102
        return DeleteObject(self.identifiers.ref("identifiers"))


class DeliveryEvent(Struct):
    """``delivery`` ``event``."""

    class DeviceToken(Struct):
        """Which device received the message."""

        device_token: str

    identifiers: dict[str, str]
    name: Literal["opened", "converted", "delivered"]
    attributes: DeviceToken

    def operation(self) -> Operation:  # noqa: D102
        return Unapplied()


WireOperation: TypeAlias = (
    PersonIdentify
    | PersonDelete
    | PersonEvent
    | PersonAddRelationships
    | PersonDeleteRelationships
    | PersonDevice
    | PersonMerge
    | PersonSuppression
    | ObjectIdentify
    | ObjectIdentifyAnonymous
    | ObjectAddRelationships
    | ObjectDeleteRelationships
    | ObjectDelete
    | DeliveryEvent
)

SHAPES: dict[tuple[str, str], type[WireOperation]] = {
    ("person", "identify"): PersonIdentify,
    ("person", "delete"): PersonDelete,
    ("person", "event"): PersonEvent,
    ("person", "screen"): PersonEvent,
    ("person", "page"): PersonEvent,
    ("person", "add_relationships"): PersonAddRelationships,
    ("person", "delete_relationships"): PersonDeleteRelationships,
    ("person", "add_device"): PersonDevice,
    ("person", "delete_device"): PersonDevice,
    ("person", "merge"): PersonMerge,
    ("person", "suppress"): PersonSuppression,
    ("person", "unsuppress"): PersonSuppression,
    ("object", "identify"): ObjectIdentify,
    ("object", "identify_anonymous"): ObjectIdentifyAnonymous,
    ("object", "delete"): ObjectDelete,
    ("object", "add_relationships"): ObjectAddRelationships,
    ("object", "delete_relationships"): ObjectDeleteRelationships,
    ("delivery", "event"): DeliveryEvent,
}
"""The shape of every allowed pair of type and action."""


class Head(Struct):
    """What decides the shape of the rest."""

    type: Literal["person", "object", "delivery"]
    action: str


_head = msgspec.json.Decoder(Head)
_decoders = {pair: msgspec.json.Decoder(shape) for pair, shape in SHAPES.items()}


def parse_operation(encoded: bytes | memoryview | Raw) -> Operation:
    """The operation that the JSON of one batch item or entity request describes.

    Raises:
        RejectedError: It is not JSON, has the wrong shape, or breaks a limit.
    """
    if len(memoryview(encoded)) > MAX_OPERATION_BYTES:
        raise invalid("", f"operation cannot be longer than {MAX_OPERATION_BYTES} bytes")
    try:
        head = _head.decode(encoded)
        decoder = _decoders.get((head.type, head.action))
        if decoder is None:
            raise invalid("action", f"action '{head.action}' is not allowed for type '{head.type}'")
        return decoder.decode(encoded).operation()
    except msgspec.ValidationError as error:
        raise RejectedError(problem(error)) from error
    except UNREADABLE as error:
        raise invalid("", "operation is not valid JSON") from error


def problem(error: msgspec.ValidationError) -> Problem:
    """What the decoder found, in the words of the Track API: the decoder says where in a JSON path."""
    message, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    missing = re.fullmatch("Object missing required field `(.+)`", message)
    if missing:
        field = f"{field}.{missing[1]}" if field else missing[1]
        return required(field).problems[0]
    return Problem("invalid", field, message.replace("`", "'"))


def text(value: Raw) -> str | None:
    """The value as Customer.io keeps it: text. None for null.

    Numbers keep the digits they were sent with, and nested values become compact JSON.
    """
    token = bytes(value)
    first = token[:1]
    if first == b'"':
        return _string.decode(token)
    if token == b"null":
        return None
    if first in (b"{", b"["):
        token = msgspec.json.format(token, indent=-1)
    return token.decode()


def checked_id(identifier: str, field: str) -> str:
    """The identifier, if it is neither empty nor longer than 150 bytes."""
    name = field.rpartition(".")[2]
    if not identifier:
        raise invalid(field, f"{name} cannot be an empty string")
    if longer_than(identifier, MAX_ID_BYTES):
        raise invalid(field, f"{name} cannot be longer than {MAX_ID_BYTES} bytes")
    return identifier


def checked_attributes(raw: RawAttributes, path: str) -> Attributes:
    """The attributes as text.

    Raises:
        RejectedError: With one problem for every limit they break.
    """
    attributes = {name: text(value) for name, value in raw.items()}
    problems = tuple(attribute_problems(attributes, path))
    if problems:
        raise RejectedError(*problems)
    return attributes


def take_flag(attributes: RawAttributes, name: str) -> bool:
    """Remove a control flag from the attributes and return it; false when it was not given."""
    flag = attributes.pop(name, None)
    try:
        return flag is not None and _boolean.decode(flag)
    except msgspec.ValidationError as error:
        raise invalid(f"attributes.{name}", f"{name} must be a boolean") from error


def event(person: PersonRef, activity: str, name: str, data: Raw) -> RecordEvent:
    """A person's event within its limits."""
    if not name.strip():
        raise invalid("name", "event name must not be blank")
    if longer_than(name, MAX_EVENT_NAME_BYTES):
        raise invalid("name", f"event name cannot be longer than {MAX_EVENT_NAME_BYTES} bytes")
    if len(bytes(data)) > MAX_EVENT_DATA_BYTES:
        raise invalid("attributes", f"event data cannot be longer than {MAX_EVENT_DATA_BYTES} bytes")
    try:
        content = _event_data.decode(data)
    except msgspec.ValidationError as error:
        raise invalid("attributes", "event data must be a hash") from error
    return RecordEvent(person, activity, name, content)


def objects_of(person: PersonRef, others: list[ToObject]) -> list[Relationship]:
    """The relationships of one person."""
    return [
        Relationship(
            person, other.identifiers.ref(path + ".identifiers"), relationship_attributes(other, path)
        )
        for path, other in ((f"cio_relationships[{index}]", other) for index, other in enumerate(others))
    ]


def people_of(target: ObjectRef, others: list[ToPerson]) -> list[Relationship]:
    """The relationships of one object."""
    return [
        Relationship(
            other.identifiers.ref(path + ".identifiers"), target, relationship_attributes(other, path)
        )
        for path, other in ((f"cio_relationships[{index}]", other) for index, other in enumerate(others))
    ]


def relationship_attributes(other: ToObject | ToPerson, path: str) -> Attributes:
    """The attributes of one relationship."""
    attributes = checked_attributes(other.relationship_attributes, f"{path}.relationship_attributes")
    return without_empty(attributes)


def without_empty(attributes: Attributes) -> Attributes:
    """The same with empty texts as None: for objects and relationships, both remove an attribute."""
    return {name: value or None for name, value in attributes.items()}
