"""Segments and their members."""

import pytest

from tests.emulator.conftest import Client, person


def new_segment(client: Client, name: str) -> int:
    """Create a manual segment and return its id."""
    answer = client.app("/v1/segments", "POST", json={"segment": {"name": name, "description": "made here"}})
    assert answer.status_code == 200
    segment = answer.json()["segment"]
    assert (segment["type"], segment["state"], segment["name"]) == ("manual", "finished", name)
    number: int = segment["id"]
    return number


def test_membership(client: Client, name: str) -> None:
    """People are added and removed by id or email, and people that do not exist are ignored."""
    segment = new_segment(client, name)
    client.identify({"id": name}, {"email": f"{name}@example.org"})
    client.identify({"email": f"only-{name}@example.org"})
    add, remove = (f"/api/v1/segments/{segment}/{action}_customers" for action in ("add", "remove"))
    assert client.track("POST", add, json={"ids": [name, f"no-{name}"]}).content == b"{}\n"
    emails = {"ids": [f"ONLY-{name}@example.org"]}
    assert client.track("POST", add, params={"id_type": "email"}, json=emails).status_code == 200
    members = client.app(f"/v1/segments/{segment}/membership").json()
    assert members["ids"] == [name, ""]
    assert [found["email"] for found in members["identifiers"]] == [
        f"{name}@example.org",
        f"only-{name}@example.org",
    ]
    assert client.app(f"/v1/segments/{segment}/customer_count").json() == {"count": 2}
    of_person = client.app(f"/v1/customers/{name}/segments").json()["segments"]
    assert segment in [found["id"] for found in of_person]
    client.track("POST", remove, json={"ids": [name]})
    client.batch(person("delete", {"email": f"only-{name}@example.org"}))
    assert client.app(f"/v1/segments/{segment}/customer_count").json() == {"count": 0}


def test_membership_by_pages(client: Client, name: str) -> None:
    """Members are returned in pages, and the last page has an empty token."""
    segment = new_segment(client, name)
    ids = [f"{name}-{number}" for number in range(5)]
    client.batch(*(person("identify", {"id": value}) for value in ids))
    client.track("POST", f"/api/v1/segments/{segment}/add_customers", json={"ids": ids})
    seen, start = [], ""
    while True:
        query = {"limit": "2", "start": start}
        page = client.app(f"/v1/segments/{segment}/membership", params=query).json()
        seen += page["ids"]
        start = page["next"]
        if not start:
            break
    assert seen == ids


@pytest.mark.parametrize("count", [1, 1000])
def test_allowed_sizes(client: Client, name: str, count: int) -> None:
    """A request can have 1 to 1,000 people."""
    path = f"/api/v1/segments/{new_segment(client, name)}/add_customers"
    assert client.track("POST", path, json={"ids": ["x"] * count}).status_code == 200


@pytest.mark.parametrize(
    "body", [{"ids": []}, {"ids": ["x"] * 1001}, {"ids": [1]}, {"ids": "x"}, {}, {"ids": [None]}]
)
def test_bad_bodies(client: Client, name: str, body: object) -> None:
    """Other numbers of people, and values that are not texts, are refused."""
    path = f"/api/v1/segments/{new_segment(client, name)}/add_customers"
    answer = client.track("POST", path, json=body)
    assert answer.status_code == 400
    assert isinstance(answer.json()["meta"]["errors"][0], str)


def test_bad_segments(client: Client) -> None:
    """Unknown segments, data-driven segments and unknown kinds of identifiers are refused."""
    segments = client.app("/v1/segments").json()["segments"]
    dynamic = next(segment["id"] for segment in segments if segment["type"] == "dynamic")
    for path in (f"{dynamic}/add_customers", f"{dynamic}/remove_customers", "999999/add_customers"):
        assert client.track("POST", f"/api/v1/segments/{path}", json={"ids": ["x"]}).status_code == 400
    wrong_type = client.track("POST", "/api/v1/segments/1/add_customers?id_type=name", json={"ids": ["x"]})
    assert wrong_type.status_code == 400


def test_managing(client: Client, name: str) -> None:
    """A segment can be read and deleted, and a deleted one is not found. A blank name is refused."""
    segment = new_segment(client, name)
    assert client.app(f"/v1/segments/{segment}").json()["segment"]["description"] == "made here"
    assert client.app(f"/v1/segments/{segment}", "DELETE").status_code == 204
    for path in ("", "/membership", "/customer_count"):
        missing = client.app(f"/v1/segments/{segment}{path}")
        assert (missing.status_code, missing.json()["errors"][0]["status"]) == (404, "404")
    assert client.app("/v1/segments", "POST", json={"segment": {"name": " "}}).status_code == 400
    assert client.app("/v1/segments", "POST", json={"segment": {}}).status_code == 400


def test_workspace(fresh: Client) -> None:
    """The workspace has the numbers of people and objects, and its data-driven segment has all people."""
    fresh.identify({"id": "1"})
    (workspace,) = fresh.app("/v1/workspaces").json()["workspaces"]
    assert (workspace["people"], workspace["objects"], workspace["object_types"]) == (1, 0, 1)
    assert fresh.app("/v1/segments/1/membership").json()["ids"] == ["1"]
