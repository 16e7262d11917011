"""A workspace for the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_cio.emulator.process import EmulatorProcess
from airflow_provider_cio.track import AppClient, TrackClient

if TYPE_CHECKING:
    from collections.abc import Iterator


class LocalWorkspace:
    """An emulator, a client of it, and a look at what it holds."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        self.emulator = emulator

    def client(self, **options: Any) -> TrackClient:
        """Create a client with a rate limit that tests do not reach."""
        return TrackClient(
            site_id=self.emulator.site_id,
            api_key=self.emulator.api_key,
            base_url=self.emulator.url,
            **{"max_requests_per_second": 1000, **options},
        )

    def app(self) -> AppClient:
        """Make a client of its App API."""
        return AppClient(api_key=self.emulator.app_api_key, base_url=self.emulator.url)

    def members(self, segment: int) -> set[str]:
        """Read who is in a segment: ids, and addresses of those who have none."""
        response = requests.get(
            f"{self.emulator.url}/v1/segments/{segment}/membership",
            params={"limit": 30_000},
            headers=self.emulator.app_headers,
            timeout=30,
        )
        response.raise_for_status()
        return {person["id"] or person["email"] for person in response.json()["identifiers"]}

    def attributes(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Read people's attributes through the App API, as it gives them: all texts."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), 100):
            response = requests.post(
                f"{self.emulator.url}/v1/customers/attributes",
                json={"ids": ids[start : start + 100]},
                headers=self.emulator.app_headers,
                timeout=30,
            )
            response.raise_for_status()
            for entry in response.json()["customers"]:
                found[entry["customer"]["attributes"]["id"]] = entry["customer"]["attributes"]
        return found

    def faults(self, **plan: Any) -> None:
        """Inject faults into the Track API; without a plan, end them."""
        url = f"{self.emulator.url}/_faults"
        response = requests.post(url, json=plan, timeout=30) if plan else requests.delete(url, timeout=30)
        response.raise_for_status()


@pytest.fixture(scope="session")
def _emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(faults=True) as emulator:
        yield emulator


@pytest.fixture
def workspace(_emulator: EmulatorProcess) -> Iterator[LocalWorkspace]:
    """Give a workspace that can misbehave. It keeps the people of other tests: use ids of one's own."""
    workspace = LocalWorkspace(_emulator)
    yield workspace
    workspace.faults()
