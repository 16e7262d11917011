"""The identities of people, and the changes of their attributes."""

import time

import pytest

from tests.emulator.conftest import Client, person


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("30", "30"),
        ("1.50", "1.50"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1e400", "1e400"),
        ("true", "true"),
        ('"Zo\\u00eb"', "Zoë"),
        ('""', ""),
        ('{"a": [1.50, null]}', '{"a":[1.50,null]}'),
        ("[]", "[]"),
    ],
)
def test_values_are_text(client: Client, name: str, sent: str, kept: str) -> None:
    """Values are stored as text: numbers with their digits, nested values as JSON."""
    operation = (
        f'{{"type":"person","action":"identify","identifiers":{{"id":"{name}"}},"attributes":{{"v":{sent}}}}}'
    )
    assert client.track("POST", "/api/v2/entity", data=operation).status_code == 200
    assert client.attributes(name) == {"id": name, "v": kept}


def test_null_removes(client: Client, name: str) -> None:
    """Null removes an attribute, also the email of a person with an id; other attributes stay."""
    client.identify({"id": name}, {"email": f"{name}@example.org", "plan": "free", "city": "Rome"})
    client.identify({"id": name}, {"email": None, "plan": None, "missing": None})
    assert client.attributes(name) == {"id": name, "city": "Rome"}
    assert client.failures(name) == []


def test_timestamps(client: Client, name: str) -> None:
    """Only a changed value gets the operation's time, and an older change is ignored."""
    client.identify({"id": name}, {"a": 1, "b": 1}, timestamp=1_000)
    client.identify({"id": name}, {"a": 1, "b": 2}, timestamp=2_000)
    client.identify({"id": name}, {"a": 3, "b": 1}, timestamp=1_500)
    customer = client.customer(name)
    assert customer is not None
    assert (customer["attributes"]["a"], customer["timestamps"]["a"]) == ("3", 1_500)
    assert (customer["attributes"]["b"], customer["timestamps"]["b"]) == ("2", 2_000)


def test_time_of_change_is_now(client: Client, name: str) -> None:
    """Without a timestamp, a change gets the current time."""
    before = int(time.time())
    client.identify({"id": name}, {"a": 1})
    customer = client.customer(name)
    assert customer is not None
    assert before <= customer["timestamps"]["a"] <= time.time()


def test_batch_order(client: Client, name: str) -> None:
    """The operations of a batch apply in order."""
    client.batch(*(person("identify", {"id": name}, attributes={"n": number}) for number in range(50)))
    assert client.attributes(name)["n"] == "49"


def test_letter_case(client: Client, name: str) -> None:
    """Ids are case-sensitive and emails are not; an email keeps its first spelling."""
    client.identify({"id": name}, {"email": f"{name}@Example.org"})
    client.identify({"id": name.upper()})
    client.identify({"email": f"{name}@example.ORG"}, {"city": "Rome"})
    client.identify({"id": name}, {"email": f"{name.upper()}@example.org"})
    assert client.attributes(name) == {"id": name, "email": f"{name}@Example.org", "city": "Rome"}
    assert client.attributes(name.upper()) == {"id": name.upper()}
    assert client.failures(name) == []


def test_claiming_a_profile(client: Client, name: str) -> None:
    """An id with the email of a profile without an id claims that profile, which keeps its cio_id."""
    email = f"{name}@example.org"
    client.identify({"email": email}, {"plan": "free"})
    before = client.customer(email, "email")
    client.identify({"id": name}, {"email": email, "city": "Rome"})
    after = client.customer(name)
    assert before is not None
    assert after is not None
    assert before["attributes"]["cio_id"] == after["attributes"]["cio_id"]
    assert client.attributes(name) == {"id": name, "email": email, "plan": "free", "city": "Rome"}


def test_id_for_an_email_only_person(client: Client, name: str) -> None:
    """An operation that identifies a person by email can set a missing id."""
    client.identify({"email": f"{name}@example.org"})
    client.identify({"email": f"{name}@example.org"}, {"id": name})
    assert client.attributes(name)["email"] == f"{name}@example.org"


def test_email_of_another_person(client: Client, name: str) -> None:
    """An email of another person is not moved; the other attributes are applied."""
    email = f"{name}@example.org"
    client.identify({"id": name}, {"email": email})
    client.identify({"id": f"{name}-2"}, {"email": email.upper(), "city": "Rome"})
    assert client.attributes(f"{name}-2") == {"id": f"{name}-2", "city": "Rome"}
    assert client.attributes(email, "email")["id"] == name
    (failed,) = client.failures(f"{name}-2")
    assert failed["email"]["to"] == email.upper()


@pytest.mark.parametrize("email", ["nonsense", "a b@example.org", "@example.org", "a@", "a..b@example.org"])
def test_invalid_email(client: Client, name: str, email: str) -> None:
    """An invalid email is accepted and then fails as a change; the other attributes are applied."""
    client.identify({"id": name}, {"email": email, "city": "Rome"})
    assert client.attributes(name) == {"id": name, "city": "Rome"}
    assert [list(failed) for failed in client.failures(name)] == [["email"]]


def test_invalid_email_as_identifier(fresh: Client) -> None:
    """An invalid email as identifier is accepted, creates no person, and is recorded as an activity."""
    fresh.identify({"email": "nonsense"})
    (activity,) = fresh.app("/v1/activities").json()["activities"]
    assert activity["type"] == "failed_attribute_change"
    assert activity["customer_identifiers"] == {"email": "nonsense", "id": None, "cio_id": None}
    assert fresh.stats()["people"] == 0


def test_identifiers_do_not_change(client: Client, name: str) -> None:
    """Existing identifiers do not change, and each attempt is recorded as an activity."""
    client.identify({"id": name}, {"email": f"{name}@example.org"})
    client.identify({"id": name}, {"email": f"new-{name}@example.org"})
    client.identify({"email": f"{name}@example.org"}, {"id": f"new-{name}"})
    client.identify({"id": name}, {"id": f"new-{name}"})
    client.identify({"id": name}, {"cio_id": "a3ffffff"})
    client.identify({"email": f"{name}@example.org"}, {"email": None})
    assert client.attributes(name) == {"id": name, "email": f"{name}@example.org"}
    assert [list(failed) for failed in client.failures(name)] == [
        ["email"],
        ["cio_id"],
        ["id"],
        ["id"],
        ["email"],
    ]


def test_change_by_cio_id(client: Client, name: str) -> None:
    """Only an operation with a cio_id can change identifiers; one with an unknown cio_id is ignored."""
    client.identify({"id": name}, {"email": f"{name}@example.org"})
    customer = client.customer(name)
    assert customer is not None
    cio_id = customer["attributes"]["cio_id"]
    client.identify({"cio_id": cio_id}, {"id": f"{name}-new", "email": f"new-{name}@example.org"})
    assert client.attributes(f"{name}-new") == {"id": f"{name}-new", "email": f"new-{name}@example.org"}
    people = client.stats()["people"]
    for unknown in ("a3ffffff", "a3" + "f" * 30, "nonsense"):
        client.identify({"cio_id": unknown}, {"city": "Rome"})
    assert client.stats()["people"] == people


def test_update_only(client: Client, name: str) -> None:
    """With `_update`, existing people change, no person is created, and the flag is not stored."""
    client.identify({"id": name}, {"_update": True, "city": "Rome"})
    assert client.customer(name) is None
    client.identify({"id": name})
    client.identify({"id": name}, {"_update": True, "city": "Rome"})
    assert client.attributes(name) == {"id": name, "city": "Rome"}


def test_delete(client: Client, name: str) -> None:
    """A deleted person loses all attributes, and the same id creates a new person later."""
    client.identify({"id": name}, {"city": "Rome"})
    before = client.customer(name)
    client.batch(person("delete", {"id": name}), person("delete", {"id": f"no-{name}"}))
    assert client.customer(name) is None
    client.identify({"id": name})
    after = client.customer(name)
    assert before is not None
    assert after is not None
    assert before["attributes"]["cio_id"] != after["attributes"]["cio_id"]
    assert client.attributes(name) == {"id": name}


def test_at_most_300_attributes_in_all(client: Client, name: str) -> None:
    """Attributes beyond 300 per person fail, also across requests; identifiers do not count."""
    client.identify({"id": name}, {f"a{number}": 1 for number in range(300)})
    client.identify({"id": name}, {"a0": 2, "one_more": 1})
    attributes = client.attributes(name)
    assert (len(attributes), attributes["a0"]) == (301, "2")
    assert [list(failed) for failed in client.failures(name)] == [["one_more"]]


def test_event_is_an_activity(client: Client, name: str) -> None:
    """An event is recorded and creates its person."""
    client.batch(person("event", {"id": name}, name="purchase", attributes={"price": 1.5}))
    (activity,) = client.app("/v1/activities", params={"customer_id": name}).json()["activities"]
    assert (activity["type"], activity["name"], activity["data"]) == ("event", "purchase", {"price": 1.5})


def test_v1(client: Client, name: str) -> None:
    """v1 derives the kind of identifier from the value, deletes people, and accepts events."""
    email = f"{name}@example.org"
    assert (
        client.track("PUT", f"/api/v1/customers/{name}", json={"email": email, "age": 30}).content == b"{}\n"
    )
    assert client.track("PUT", f"/api/v1/customers/{email}", json={"city": "Rome"}).status_code == 200
    assert client.attributes(name) == {"id": name, "email": email, "age": "30", "city": "Rome"}
    customer = client.customer(name)
    assert customer is not None
    cio_id = customer["attributes"]["cio_id"]
    assert client.track("PUT", f"/api/v1/customers/cio_{cio_id}", json={"age": None}).status_code == 200
    assert "age" not in client.attributes(name)
    relationship = {"identifiers": {"object_type_id": "1", "object_id": f"o-{name}"}}
    change = {"action": "add_relationships", "relationships": [relationship]}
    client.track("PUT", f"/api/v1/customers/{name}", json={"cio_relationships": change})
    assert len(client.app(f"/v1/customers/{name}/relationships").json()["cio_relationships"]) == 1
    assert client.track("POST", f"/api/v1/customers/{name}/events", json={"name": "seen"}).status_code == 200
    assert client.track("DELETE", f"/api/v1/customers/{name}").content == b"{}\n"
    assert client.customer(name) is None


def test_v1_refusal(client: Client, name: str) -> None:
    """A refusal of v1 is indented JSON with a list of messages."""
    answer = client.track("PUT", f"/api/v1/customers/{name}", json={"token": "x" * 1001})
    sentence = "value for attribute 'token' cannot be longer than 1000 bytes"
    assert answer.status_code == 400
    assert answer.text == f'{{\n  "meta": {{\n    "errors": [\n      "{sentence}"\n    ]\n  }}\n}}\n'
    answer = client.track("PUT", f"/api/v1/customers/{name}", json={"id": "other"})
    assert answer.json() == {"meta": {"errors": ["id attribute and identifier are not the same value"]}}


def test_reading_people(client: Client, name: str) -> None:
    """People are found by email in any case and in groups; an unknown person is a 404 with JSON."""
    email = f"{name}@example.org"
    client.identify({"id": name}, {"email": email})
    (found,) = client.app("/v1/customers", params={"email": email.upper()}).json()["results"]
    assert (found["id"], found["email"]) == (name, email)
    assert client.app("/v1/customers", params={"email": "no@example.org"}).json() == {"results": []}
    answer = client.app("/v1/customers/attributes", "POST", json={"ids": [name, f"no-{name}"]})
    assert [entry["customer"]["id"] for entry in answer.json()["customers"]] == [name]
    too_many = client.app("/v1/customers/attributes", "POST", json={"ids": [name] * 101})
    assert too_many.status_code == 400
    missing = client.app(f"/v1/customers/no-{name}/attributes")
    assert (missing.status_code, missing.json()["errors"][0]["status"]) == (404, "404")


def test_activities_by_pages(client: Client, name: str) -> None:
    """Activities are returned newest first in pages, and the last page has an empty token."""
    client.batch(*(person("event", {"id": name}, name=f"e{number}") for number in range(5)))
    seen, start = [], ""
    while True:
        query = {"customer_id": name, "limit": "2", "start": start}
        page = client.app("/v1/activities", params=query).json()
        seen += [activity["name"] for activity in page["activities"]]
        start = page["next"]
        if not start:
            break
    assert seen == ["e4", "e3", "e2", "e1", "e0"]
