"""Fixtures with an emulator in its own process, and a client for it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_cio.emulator.process import EmulatorProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


class Client:
    """Send requests to an emulator."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        self.emulator = emulator
        self.session = requests.Session()

    def track(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to the Track API."""
        url = self.emulator.url + path
        return self.session.request(method, url, auth=self.emulator.auth, **{"timeout": 10, **options})

    def app(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Send a request to the App API."""
        url = self.emulator.url + path
        return self.session.request(method, url, headers=self.emulator.app_headers, timeout=10, **options)

    def batch(self, *operations: Any) -> requests.Response:
        """Send a batch."""
        return self.track("POST", "/api/v2/batch", json={"batch": operations})

    def errors(self, operation: Any) -> list[tuple[str, str]]:
        """Return the reason and field of every problem of an operation."""
        answer = self.batch(operation)
        assert answer.status_code in {200, 207}
        return [(error["reason"], error["field"]) for error in answer.json().get("errors", [])]

    def identify(
        self, identifiers: dict[str, Any], attributes: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """Identify a person, and check that the operation is accepted."""
        answer = self.batch(person("identify", identifiers, attributes=attributes or {}, **more))
        assert answer.status_code == 200, answer.text

    def customer(self, value: str, id_type: str = "id") -> dict[str, Any] | None:
        """Return a person; None if there is none."""
        answer = self.app(f"/v1/customers/{value}/attributes", params={"id_type": id_type})
        assert answer.status_code in {200, 404}
        customer: dict[str, Any] | None = answer.json().get("customer")
        return customer

    def attributes(self, value: str, id_type: str = "id") -> dict[str, str]:
        """Return the attributes of a person who must exist, without the cio_id."""
        customer = self.customer(value, id_type)
        assert customer is not None
        return {name: text for name, text in customer["attributes"].items() if name != "cio_id"}

    def failures(self, value: str, id_type: str = "id") -> list[dict[str, Any]]:
        """Return the failed attribute changes of a person, the newest first."""
        query = {"type": "failed_attribute_change", "customer_id": value, "id_type": id_type}
        return [
            activity["data"] for activity in self.app("/v1/activities", params=query).json()["activities"]
        ]

    def stats(self) -> dict[str, int]:
        """Return the counts of the emulator."""
        counts: dict[str, int] = self.session.get(f"{self.emulator.url}/_emulator/stats", timeout=10).json()
        return counts


def person(action: str, identifiers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an operation on a person."""
    return {"type": "person", "action": action, "identifiers": identifiers, **more}


def custom_object(action: str, object_id: str, type_id: str = "1", **more: Any) -> dict[str, Any]:
    """Return an operation on an object."""
    identifiers = {"object_type_id": type_id, "object_id": object_id}
    return {"type": "object", "action": action, "identifiers": identifiers, **more}


@pytest.fixture(scope="session")
def running() -> Iterator[Client]:
    """The emulator that tests share; each test uses identifiers of its own."""
    with EmulatorProcess() as emulator:
        yield Client(emulator)


@pytest.fixture
def client(running: Client) -> Client:
    """A client of the shared emulator."""
    return running


@pytest.fixture
def fresh() -> Iterator[Client]:
    """A client of a new emulator."""
    with EmulatorProcess() as emulator:
        yield Client(emulator)


@pytest.fixture
def name() -> str:
    """An identifier that no other test uses."""
    return f"p{next(_numbers)}"
