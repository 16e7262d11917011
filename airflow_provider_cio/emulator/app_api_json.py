"""The JSON of people, objects and segments in the App API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.records import CustomObject, Document, Person, Segment


def values(document: Document) -> dict[str, str]:
    """Return attributes without their times."""
    return {name: value for name, (value, _) in document.items()}


def times(document: Document) -> dict[str, int]:
    """Return the Unix seconds of each attribute's last change."""
    return {name: at for name, (_, at) in document.items()}


def person_json(person: Person) -> dict[str, Any]:
    """Return a person with attributes and times, including the identifiers."""
    document = person.attributes | {"cio_id": (person.cio_id, person.created)}
    unsubscribed = document.get("unsubscribed", ("", 0))[0]
    customer = {
        "id": person.id or "",
        "identifiers": person.identifiers,
        "attributes": values(document),
        "timestamps": times(document),
        "unsubscribed": unsubscribed.lower() in {"true", "1"},
        "devices": [],
    }
    return {"customer": customer}


def object_identifiers_json(custom_object: CustomObject) -> dict[str, str]:
    """Return the identifiers of an object."""
    return {"object_id": custom_object.object_id, "cio_object_id": custom_object.cio_object_id}


def object_type_json(type_id: str) -> dict[str, Any]:
    """Return an object type. Its names are derived from its number, which is all that the emulator stores."""
    return {
        "id": type_id,
        "name": f"Objects {type_id}",
        "singular_name": f"Object {type_id}",
        "slug": f"objects_{type_id}",
        "singular_slug": f"object_{type_id}",
        "enabled": True,
        "icon": "company",
    }


def segment_json(segment: Segment) -> dict[str, Any]:
    """Return a segment that is ready to use."""
    return {
        "id": segment.id,
        "deduplicate_id": f"{segment.id}:{segment.created}",
        "name": segment.name,
        "description": segment.description,
        "state": "finished",
        "progress": None,
        "type": segment.type,
        "tags": None,
    }
