"""Credentials, paths, the validation of operations, and the limits of sizes."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
import requests

from tests.emulator.conftest import Client, custom_object, person

if TYPE_CHECKING:
    from collections.abc import Mapping

UNAUTHORIZED = {"meta": {"error": "Unauthorized request"}}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic " + b64encode(b"emulator-site-id:wrong").decode(),
        "Bearer emulator-app-api-key",
        "Basic ???",
    ],
)
@pytest.mark.parametrize("path", ["/api/v2/batch", "/api/v2/entity"])
def test_track_refuses_credentials(client: Client, path: str, authorization: str | None) -> None:
    """Missing, wrong and malformed credentials get the same 401 with a challenge."""
    headers = {"Authorization": authorization} if authorization else {}
    answer = requests.post(client.emulator.url + path, json={"batch": []}, headers=headers, timeout=5)
    assert answer.status_code == 401
    assert answer.json() == UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Customer.io edge event collection"'


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "emulator-app-api-key"])
def test_app_refuses_credentials(client: Client, authorization: str | None) -> None:
    """The App API's 401 has the same body and no challenge."""
    headers = {"Authorization": authorization} if authorization else {}
    answer = requests.get(f"{client.emulator.url}/v1/segments", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    assert "WWW-Authenticate" not in answer.headers


def test_accepted_answer(client: Client, name: str) -> None:
    """A batch without problems gets 200 and an empty object with a newline, and the documented headers."""
    answer = client.batch(person("identify", {"id": name}))
    assert (answer.status_code, answer.content) == (200, b"{}\n")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Content-Length"] == "3"
    assert answer.headers["Status"] == "200 OK"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/batch"),
        ("POST", "/api/v2/nothing"),
        ("POST", "/api/v1/accounts/region"),
        ("GET", "/v2/x"),
    ],
)
def test_unknown_paths(client: Client, method: str, path: str) -> None:
    """An unknown path and a wrong method get the 404 page, not JSON."""
    answer = client.track(method, path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Page Not Found | Customer.io" in answer.text


def test_region(client: Client) -> None:
    """The API returns the region of the account."""
    answer = client.track("GET", "/api/v1/accounts/region")
    assert answer.json() == {"url": "https://track.customer.io", "region": "us", "environment_id": 1}


@pytest.mark.parametrize(
    "body", ["", "[", "[]", "{}", '{"batch": {}}', '{"batch": []}', '{"batch": null}', "[" * 100_000]
)
def test_malformed_batch(client: Client, body: str) -> None:
    """A body that is not a list of operations is refused as a whole."""
    answer = client.track("POST", "/api/v2/batch", data=body)
    assert answer.status_code == 400
    assert set(answer.json()["errors"][0]) == {"reason", "field", "message"}


def test_some_bad(client: Client, name: str) -> None:
    """Invalid operations are rejected by index, and the valid ones around them are applied."""
    bad = person("identify", {"id": 7})
    answer = client.batch(bad, person("identify", {"id": name}), person("identify", {}))
    assert answer.status_code == 207
    errors = [(error["batch_index"], error["reason"], error["field"]) for error in answer.json()["errors"]]
    assert errors == [(0, "invalid", "identifiers.id"), (2, "required", "identifiers")]
    assert client.customer(name)


def test_all_bad(client: Client) -> None:
    """A batch with only invalid operations gets a 207, too."""
    answer = client.batch(person("identify", {}), "text", 1, None)
    assert answer.status_code == 207
    assert {error["batch_index"] for error in answer.json()["errors"]} == {0, 1, 2, 3}


def test_entity(client: Client, name: str) -> None:
    """A single operation is applied, or refused with a 400 without index."""
    assert client.track("POST", "/api/v2/entity", json=person("identify", {"id": name})).content == b"{}\n"
    assert client.customer(name)
    answer = client.track("POST", "/api/v2/entity", json=person("identify", {"id": ""}))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "identifiers.id"
    assert "batch_index" not in answer.json()["errors"][0]


@pytest.mark.parametrize(("size", "status"), [(500_000, 200), (500_001, 413)])
def test_batch_size(client: Client, name: str, size: int, status: int) -> None:
    """A body of 500,000 bytes is accepted, and one of 500,001 bytes is not."""
    body = json.dumps({"batch": [person("identify", {"id": name})]})
    assert client.track("POST", "/api/v2/batch", data=body + " " * (size - len(body))).status_code == status


def padded(name: str, size: int) -> str:
    """Return an operation of exactly this size."""
    encoded = json.dumps(person("identify", {"id": name}, padding=""))
    return encoded.replace('"padding": ""', f'"padding": "{"x" * (size - len(encoded))}"')


def test_operation_size(client: Client, name: str) -> None:
    """An operation of 32,000 bytes is accepted, one of 32,001 is rejected alone."""
    body = f'{{"batch": [{padded(name, 32_000)}, {padded(name, 32_001)}]}}'
    answer = client.track("POST", "/api/v2/batch", data=body)
    assert (answer.status_code, [error["batch_index"] for error in answer.json()["errors"]]) == (207, [1])
    assert client.track("POST", "/api/v2/entity", data=padded(name, 32_000)).status_code == 200
    assert client.track("POST", "/api/v2/entity", data=padded(name, 32_001)).status_code == 413


def test_wrong_encoding(client: Client, name: str) -> None:
    """Bytes that are not UTF-8 reject only their operation."""
    good = json.dumps(person("identify", {"id": name})).encode()
    bad = good.replace(name.encode(), b"\xff")
    answer = client.track("POST", "/api/v2/batch", data=b'{"batch": [%s, %s]}' % (bad, good))
    assert [error["batch_index"] for error in answer.json()["errors"]] == [0]
    assert client.customer(name)


@pytest.mark.parametrize(
    ("operation", "reason", "field"),
    [
        ({"action": "identify", "identifiers": {"id": "1"}}, "required", "type"),
        ({"type": "person", "identifiers": {"id": "1"}}, "required", "action"),
        ({"type": "person", "action": "identify"}, "required", "identifiers"),
        ({"type": "robot", "action": "identify"}, "invalid", "type"),
        (person("fly", {"id": "1"}), "invalid", "action"),
        (custom_object("event", "acme"), "invalid", "action"),
        (person("identify", {"id": "1", "email": "a@example.org"}), "invalid", "identifiers"),
        (person("identify", {"id": None}), "invalid", "identifiers.id"),
        (person("identify", {"id": ""}), "invalid", "identifiers.id"),
        (person("identify", {"phone": "+14155552671"}), "invalid", "identifiers.phone"),
        (person("identify", {"id": "1"}, attributes=[]), "invalid", "attributes"),
        (person("identify", {"id": "1"}, attributes={"_update": "yes"}), "invalid", "attributes._update"),
        (person("identify", {"id": "1"}, timestamp="now"), "invalid", "timestamp"),
        (person("add_relationships", {"id": "1"}), "required", "cio_relationships"),
        (person("event", {"id": "1"}), "required", "name"),
        (person("event", {"id": "1"}, name=" "), "invalid", "name"),
        (person("event", {"id": "1"}, name="x" * 101), "invalid", "name"),
        (person("event", {"id": "1"}, name="x", attributes=""), "invalid", "attributes"),
        (person("identify", {"id": "1"}, timestamp=10**30), "invalid", "timestamp"),
        (person("add_device", {"id": "1"}), "required", "device"),
        (person("add_device", {"id": "1"}, device={}), "required", "device.token"),
        ({"type": "person", "action": "merge", "primary": {"id": "1"}}, "required", "secondary"),
        (custom_object("identify", "acme", "zero"), "invalid", "identifiers.object_type_id"),
        (custom_object("identify", ""), "invalid", "identifiers.object_id"),
        (custom_object("identify", "x" * 151), "invalid", "identifiers.object_id"),
        (
            {"type": "object", "action": "identify", "identifiers": {"object_id": "acme"}},
            "required",
            "identifiers.object_type_id",
        ),
        (
            {
                "type": "object",
                "action": "identify",
                "identifiers": {"object_type_id": 1, "object_id": "acme"},
            },
            "invalid",
            "identifiers.object_type_id",
        ),
        (
            custom_object("add_relationships", "acme", cio_relationships=[{"identifiers": {"id": 5}}]),
            "invalid",
            "cio_relationships[0].identifiers.id",
        ),
    ],
)
def test_bad_operations(client: Client, operation: object, reason: str, field: str) -> None:
    """An invalid operation is rejected with a reason and the path of the field."""
    assert client.errors(operation) == [(reason, field)]


@pytest.mark.parametrize(
    "operation",
    [
        person("event", {"id": "e"}, name="purchase", attributes={"price": 1.5}),
        person("page", {"id": "e"}, name="/home"),
        person("screen", {"id": "e"}, name="Home"),
        person("add_device", {"id": "e"}, device={"token": "t", "platform": "ios"}),
        person("delete_device", {"id": "e"}, device={"token": "t"}),
        person("suppress", {"id": "e"}),
        person("unsuppress", {"id": "e"}),
        {
            "type": "person",
            "action": "merge",
            "primary": {"id": "e"},
            "secondary": {"email": "e@example.org"},
        },
        custom_object("identify_anonymous", "acme"),
        {
            "type": "delivery",
            "action": "event",
            "identifiers": {"id": "d"},
            "name": "opened",
            "attributes": {"device_token": "t"},
        },
    ],
)
def test_other_operations(client: Client, operation: object) -> None:
    """Operations that a sync does not use are checked and accepted."""
    assert client.batch(operation).status_code == 200


@pytest.mark.parametrize(("size", "errors"), [(150, []), (151, [("invalid", "identifiers.id")])])
@pytest.mark.parametrize("character", ["x", "é"])
def test_id_length(client: Client, character: str, size: int, errors: list[tuple[str, str]]) -> None:
    """An id can have 150 bytes of UTF-8, but not 151."""
    text = character * (size // len(character.encode()))
    text += "x" * (size - len(text.encode()))
    assert client.errors(person("identify", {"id": text})) == errors


@pytest.mark.parametrize("extra", [0, 1])
def test_attribute_limits(client: Client, name: str, extra: int) -> None:
    """A name can have 150 bytes, a value (nested values as JSON) 1,000, and a person 300 attributes."""

    def rejected(attributes: Mapping[str, object]) -> list[str]:
        return [field for _, field in client.errors(person("identify", {"id": name}, attributes=attributes))]

    long_name = "n" * (150 + extra)
    nested = {"a": ["x" * (990 + extra)]}
    many = {f"a{number}": number for number in range(300 + extra)}
    assert rejected({long_name: 1}) == [f"attributes.{long_name}"] * extra
    assert rejected({"v": "x" * (1000 + extra)}) == ["attributes.v"] * extra
    assert rejected({"v": "é" * 500 + "x" * extra}) == ["attributes.v"] * extra
    assert rejected({"v": nested}) == ["attributes.v"] * extra
    assert rejected(many) == ["attributes"] * extra


def test_all_problems_at_once(client: Client, name: str) -> None:
    """Several attributes above the limit are several errors with one index, with the documented messages."""
    attributes = {"plan": "x" * 1001, "fine": 1, "note": "x" * 1001}
    errors = client.batch(person("identify", {"id": name}, attributes=attributes)).json()["errors"]
    message = "property value cannot be longer than 1000 bytes"
    assert errors == [
        {"batch_index": 0, "reason": "invalid", "field": "attributes.plan", "message": message},
        {"batch_index": 0, "reason": "invalid", "field": "attributes.note", "message": message},
    ]
    assert client.customer(name) is None
