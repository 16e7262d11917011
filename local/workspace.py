"""A Customer.io workspace of one's own: the emulator, and the little that one asks it oneself."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_cio.emulator.process import EmulatorProcess
from local.processes import LocalError


class EmulatedWorkspace(EmulatorProcess):
    """An emulator that runs inside a `with` block. It listens on 127.0.0.1 only."""

    def airflow_connection(self) -> dict[str, object]:
        """The fields of an Airflow connection to it, as `AIRFLOW_CONN_…` takes them in JSON."""
        return {
            "conn_type": "customerio",
            "host": self.url,
            "login": self.site_id,
            "password": self.api_key,
            "extra": {"app_api_key": self.app_api_key, "app_host": self.url},
        }

    def identify(self, person: str, *, email: str) -> None:
        """Create a person, as another system of the company would.

        Raises:
            LocalError: The workspace refuses.
        """
        self._request("PUT", f"/api/v1/customers/{person}", auth=self.auth, json={"email": email})

    def attributes(self, person: str) -> dict[str, Any]:
        """What it knows about the person with this id.

        Raises:
            LocalError: It does not know them.
        """
        found = self._look(f"/v1/customers/{person}/attributes?id_type=id")
        return dict(found["customer"]["attributes"])

    def segment_sizes(self) -> dict[str, int]:
        """Segments by name, and how many people are in each."""
        return {
            segment["name"]: self._look(f"/v1/segments/{segment['id']}/customer_count")["count"]
            for segment in self._look("/v1/segments")["segments"]
        }

    def _look(self, path: str) -> Any:
        return self._request("GET", path, headers=self.app_headers).json()

    def _request(self, method: str, path: str, **how: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False  # no proxy of the surroundings leads to this machine
            response = session.request(method, self.url + path, timeout=30, **how)
        if not response.ok:
            raise LocalError(
                f"The workspace refused {method} {path}: HTTP {response.status_code}, {response.text[:500]}"
            )
        return response
