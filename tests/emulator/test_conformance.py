"""The emulator against Customer.io's OpenAPI description of the Track API, if the file is available."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.emulator.conftest import Client, custom_object, person

DESCRIPTION = Path(__file__).parents[2].parent / "shared/reference/track-api.openapi.json"

pytestmark = pytest.mark.skipif(
    not DESCRIPTION.exists(), reason="the description of the Track API is not here"
)

TO_OBJECT = [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]
TO_PERSON = [{"identifiers": {"id": "42"}, "relationship_attributes": {"role": "admin"}}]

GOOD = [
    person("identify", {"id": "c1"}, attributes={"a": 1, "b": [1, {"c": None}], "d": None, "_update": False}),
    person("identify", {"email": "c1@example.org"}, timestamp=1_772_013_598, cio_relationships=TO_OBJECT),
    person("identify", {"cio_id": "a3000001"}),
    person("delete", {"id": "c2"}),
    person("add_relationships", {"id": "c1"}, cio_relationships=TO_OBJECT),
    person("delete_relationships", {"id": "c1"}, cio_relationships=TO_OBJECT),
    person("event", {"id": "c1"}, name="purchase", attributes={"price": 1}),
    person("add_device", {"id": "c1"}, device={"token": "t", "platform": "ios"}),
    person("suppress", {"id": "c3"}),
    custom_object("identify", "acme", attributes={"name": "Acme"}, cio_relationships=TO_PERSON),
    custom_object("add_relationships", "acme", cio_relationships=TO_PERSON),
    custom_object("delete_relationships", "acme", cio_relationships=TO_PERSON),
    custom_object("delete", "other"),
]
BAD = [
    {"identifiers": {"id": "c1"}, "action": "identify"},
    {"type": "person", "identifiers": {"id": "c1"}},
    {"type": "person", "action": "identify"},
    person("identify", {}),
    person("identify", {"id": 5}),
    person("identify", {"id": None}),
    person("identify", {"id": "c1", "email": "c1@example.org"}),
    person("identify", {"id": "c1"}, attributes="text"),
    person("add_relationships", {"id": "c1"}),
    person("nonsense", {"id": "c1"}),
    {"type": "object", "action": "identify", "identifiers": {"object_id": "acme"}},
    {"type": "object", "action": "identify", "identifiers": {"object_type_id": 1, "object_id": "acme"}},
    {"type": "object", "action": "delete", "identifiers": {}},
]


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """The description, with one defect corrected.

    The three alternatives (`oneOf`) for the identifiers of a person in an object's relationships have no
    required keys, so that every valid identifier matches all of them.
    """
    read: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    relationship = read["components"]["schemas"]["v2_cio_relationships"]["items"]["properties"]["identifiers"]
    for kind in relationship["oneOf"]:
        kind["required"] = list(kind["properties"])
    return read


def matches(description: dict[str, Any], schema: dict[str, Any], value: object) -> bool:
    """Return whether a value matches a schema."""
    validator = Draft202012Validator({**schema, "components": description["components"]})
    return next(validator.iter_errors(value), None) is None


@pytest.mark.parametrize(("operations", "status"), [(GOOD, 200), (BAD, 207)])
def test_operations(client: Client, description: dict[str, Any], operations: list[Any], status: int) -> None:
    """The emulator accepts and rejects the same operations as the description."""
    body = description["paths"]["/api/v2/batch"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    items = body["properties"]["batch"]["items"]
    for operation in operations:
        assert (matches(description, items, operation), operation) == (status == 200, operation)
        assert (client.batch(operation).status_code, operation) == (status, operation)


def test_examples(client: Client, description: dict[str, Any]) -> None:
    """All examples of operations in the description are accepted."""
    schemas = description["components"]["schemas"]
    names = [name for name in schemas if name.startswith(("person_", "object_", "identify_", "delivery_"))]
    examples = [schemas[name]["example"] for name in names if "action" in schemas[name].get("example", {})]
    assert len(examples) > 10
    answer = client.batch(*examples)
    assert (answer.status_code, answer.text) == (200, "{}\n")


def test_answers(client: Client, description: dict[str, Any]) -> None:
    """The responses match the description."""
    responses = description["paths"]["/api/v2/batch"]["post"]["responses"]
    partly = client.batch(*BAD)
    malformed = client.track("POST", "/api/v2/batch", data="[]")
    for answer, status in ((partly, "207"), (malformed, "400")):
        assert answer.status_code == int(status)
        schema = responses[status]["content"]["application/json"]["schema"]
        assert matches(description, schema, answer.json())
