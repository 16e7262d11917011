"""A local workspace that can be made to fail, and can be compared with what it should hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.track import TrackClient
from local.workspace import EmulatedWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: What the App API takes at once.
_PEOPLE = 100
_READERS = 2


class Workspace(EmulatedWorkspace):
    """An emulator that runs inside a ``with`` block and offers faults."""

    def __init__(self) -> None:
        super().__init__(faults=True)

    def client(self, **options: Any) -> TrackClient:
        """Make a client that is not held back by a pace."""
        return TrackClient(
            site_id=self.site_id,
            api_key=self.api_key,
            **{"base_url": self.url, "max_requests_per_second": 1000, **options},
        )

    def fail(self, **configuration: Any) -> None:
        """Let the Track API fail; without a configuration, let it be healthy."""
        if configuration:
            self._request("POST", "/_faults", json=configuration)
        else:
            self._request("DELETE", "/_faults")

    def faults_met(self) -> dict[str, int]:
        """Count the requests by what they met since `fail`."""
        counts: dict[str, int] = self._request("GET", "/_faults").json()["counts"]
        return counts

    def people(self, ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """Read the attributes of people, by id; those that are not there are left out."""
        wanted = list(ids)
        parts = [wanted[first : first + _PEOPLE] for first in range(0, len(wanted), _PEOPLE)]
        found: dict[str, dict[str, str]] = {}
        with ThreadPoolExecutor(_READERS) as threads:
            for people in threads.map(self._people, parts):
                found |= people
        return found

    def _people(self, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        answer = self._request(
            "POST", "/v1/customers/attributes", headers=self.app_headers, json={"ids": ids}
        )
        people = (entry["customer"]["attributes"] for entry in answer.json()["customers"])
        return {person["id"]: person for person in people}
