"""Objects and their relationships."""

from __future__ import annotations

from typing import Any

from tests.emulator.conftest import Client, custom_object, person


def role(client: Client, name: str) -> list[tuple[str, dict[str, str]]]:
    """Return the objects of a person's relationships, with the attributes."""
    answer = client.app(f"/v1/customers/{name}/relationships").json()
    return [(found["identifiers"]["object_id"], found["attributes"]) for found in answer["cio_relationships"]]


def people(client: Client, object_id: str) -> list[str]:
    """Return the people of an object's relationships."""
    answer = client.app(f"/v1/objects/1/{object_id}/relationships").json()
    return [found["identifiers"]["id"] for found in answer["cio_relationships"]]


def attributes(client: Client, object_id: str) -> dict[str, Any]:
    """Return the attributes of an object."""
    found: dict[str, Any] = client.app(f"/v1/objects/1/{object_id}/attributes").json()["object"]["attributes"]
    return found


def test_attributes(client: Client, name: str) -> None:
    """Objects store text; null and the empty text remove an attribute."""
    client.batch(
        custom_object("identify", name, attributes={"name": "Acme", "seats": 50, "plan": "x", "city": "Rome"})
    )
    client.batch(custom_object("identify", name, attributes={"plan": None, "city": ""}))
    assert attributes(client, name) == {"name": "Acme", "seats": "50"}


def test_naming_by_cio_object_id(client: Client, name: str) -> None:
    """A cio_object_id identifies an existing object, and never creates one."""
    client.batch(custom_object("identify", name))
    found = client.app(f"/v1/objects/1/{name}/attributes").json()["object"]["identifiers"]
    for cio_object_id in (found["cio_object_id"], "obffffff"):
        operation = {"type": "object", "action": "identify", "identifiers": {"cio_object_id": cio_object_id}}
        assert client.batch({**operation, "attributes": {"a": 1}}).status_code == 200
    assert attributes(client, name) == {"a": "1"}
    assert client.app("/v1/objects/1/obffffff/attributes").status_code == 404


def test_same_id_in_two_types(client: Client, name: str) -> None:
    """An object id is unique only within its type, and a type is created with its first object."""
    client.batch(
        custom_object("identify", name, attributes={"a": 1}),
        custom_object("identify", name, "7", attributes={"a": 2}),
    )
    assert attributes(client, name) == {"a": "1"}
    assert {"1", "7"} <= {found["id"] for found in client.app("/v1/object_types").json()["types"]}


def test_relating_from_both_sides(client: Client, name: str) -> None:
    """A relationship is the same from both sides; its attributes are kept, changed and removed."""
    client.identify({"id": name})
    client.batch(custom_object("identify", f"o{name}"))
    to_object = {"identifiers": {"object_type_id": "1", "object_id": f"o{name}"}}
    to_person = {"identifiers": {"id": name}}
    given = {"role": "admin", "since": 5, "note": "x"}
    client.batch(
        person(
            "add_relationships",
            {"id": name},
            cio_relationships=[{**to_object, "relationship_attributes": given}],
        )
    )
    assert role(client, name) == [(f"o{name}", {"role": "admin", "since": "5", "note": "x"})]
    changed = {"role": "owner", "since": None, "note": ""}
    client.batch(
        custom_object(
            "identify", f"o{name}", cio_relationships=[{**to_person, "relationship_attributes": changed}]
        )
    )
    assert role(client, name) == [(f"o{name}", {"role": "owner"})]
    assert people(client, f"o{name}") == [name]
    client.batch(custom_object("delete_relationships", f"o{name}", cio_relationships=[to_person]))
    assert role(client, name) == []
    client.identify({"id": name}, cio_relationships=[to_object])
    assert role(client, name) == [(f"o{name}", {})]
    client.batch(person("delete_relationships", {"id": name}, cio_relationships=[to_object]))
    assert role(client, name) == []


def test_missing_sides_are_created(client: Client, name: str) -> None:
    """Adding a relationship creates the missing person and object; deleting one creates nothing."""
    to_person = {"identifiers": {"email": f"{name}@example.org"}}
    client.batch(custom_object("delete_relationships", name, cio_relationships=[to_person]))
    assert client.customer(f"{name}@example.org", "email") is None
    client.batch(custom_object("add_relationships", name, cio_relationships=[to_person]))
    assert client.customer(f"{name}@example.org", "email")
    assert attributes(client, name) == {}


def test_deleting_ends_relationships(client: Client, name: str) -> None:
    """Deleting a person or an object deletes its relationships and keeps the other side."""
    to_people = [{"identifiers": {"id": f"{name}-{number}"}} for number in range(3)]
    client.batch(custom_object("add_relationships", name, cio_relationships=to_people))
    before = client.stats()["relationships"]
    client.batch(person("delete", {"id": f"{name}-0"}))
    assert people(client, name) == [f"{name}-1", f"{name}-2"]
    client.batch(custom_object("delete", name))
    assert role(client, f"{name}-1") == []
    assert client.app(f"/v1/objects/1/{name}/attributes").status_code == 404
    assert client.stats()["relationships"] == before - 3


def test_relationships_by_pages(client: Client, name: str) -> None:
    """Relationships are returned in pages, and the last page has an empty token."""
    to_people = [{"identifiers": {"id": f"{name}-{number}"}} for number in range(3)]
    client.batch(custom_object("add_relationships", name, cio_relationships=to_people))
    path = f"/v1/objects/1/{name}/relationships"
    first = client.app(path, params={"limit": "2"}).json()
    second = client.app(path, params={"limit": "2", "start": first["next"]}).json()
    assert [len(page["cio_relationships"]) for page in (first, second)] == [2, 1]
    assert second["next"] == ""


def test_at_most_100_kilobytes(client: Client, name: str) -> None:
    """An object stores up to 100,000 bytes of names and values; a change beyond this fails."""
    for part in range(4):
        values = {f"{part}{number:03}": "x" * 996 for number in range(25)}
        assert client.batch(custom_object("identify", name, attributes=values)).status_code == 200
    assert len(attributes(client, name)) == 100
    assert (
        client.batch(custom_object("identify", name, attributes={"a": "b", "0000": "y" * 996})).status_code
        == 200
    )
    assert len(attributes(client, name)) == 100
    assert attributes(client, name)["0000"] == "y" * 996
    failed = client.app("/v1/activities", params={"type": "_o:1:failed_attribute_change"}).json()[
        "activities"
    ][0]
    assert (failed["object_id"], list(failed["data"])) == (name, ["a"])
