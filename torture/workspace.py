"""An emulated workspace with injected faults, whose people can be read back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.track import TrackClient
from local.workspace import EmulatedWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: People per request, the limit of the App API.
_PEOPLE = 100
_READERS = 2


class FaultyWorkspace(EmulatedWorkspace):
    """An emulator that runs inside a ``with`` block and can inject faults."""

    def __init__(self) -> None:
        super().__init__(faults=True)

    def client(self, **options: Any) -> TrackClient:
        """Return a client with a high rate limit.

        Args:
            options: Arguments of `TrackClient` to override.
        """
        return TrackClient(
            site_id=self.site_id,
            api_key=self.api_key,
            **{"base_url": self.url, "max_requests_per_second": 1000, **options},
        )

    def fail(self, **configuration: Any) -> None:
        """Inject faults into the Track API. Without a configuration, stop injecting faults."""
        if configuration:
            self._request("POST", "/_faults", json=configuration)
        else:
            self._request("DELETE", "/_faults")

    def faults_met(self) -> dict[str, int]:
        """Return the number of requests since `fail` by kind of fault, `healthy` for none."""
        counts: dict[str, int] = self._request("GET", "/_faults").json()["counts"]
        return counts

    def people(self, ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return the attributes of people by id, without the people that do not exist."""
        wanted = list(ids)
        parts = [wanted[first : first + _PEOPLE] for first in range(0, len(wanted), _PEOPLE)]
        found: dict[str, dict[str, str]] = {}
        with ThreadPoolExecutor(_READERS) as threads:
            for people in threads.map(self._people, parts):
                found |= people
        return found

    def _people(self, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        response = self._request(
            "POST", "/v1/customers/attributes", headers=self.app_headers, json={"ids": ids}
        )
        people = (entry["customer"]["attributes"] for entry in response.json()["customers"])
        return {person["id"]: person for person in people}
