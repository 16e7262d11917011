"""A Customer.io workspace on this machine: the emulator with a few calls that read it back."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_cio.emulator.process import EmulatorProcess
from local.processes import LocalError


class EmulatedWorkspace(EmulatorProcess):
    """An emulator that runs inside a `with` block and listens on 127.0.0.1 only."""

    def airflow_connection(self) -> dict[str, object]:
        """Return the fields of an Airflow connection to the workspace, for `AIRFLOW_CONN_…` in JSON."""
        return {
            "conn_type": "customerio",
            "host": self.url,
            "login": self.site_id,
            "password": self.api_key,
            "extra": {"app_api_key": self.app_api_key, "app_host": self.url},
        }

    def identify(self, person: str, *, email: str) -> None:
        """Create a person with an id and an email address, as another system of the company would.

        Raises:
            LocalError: The workspace refused the request.
        """
        self._request("PUT", f"/api/v1/customers/{person}", auth=self.auth, json={"email": email})

    def attributes(self, person: str) -> dict[str, Any]:
        """Return the attributes of the person with this id.

        Raises:
            LocalError: There is no such person.
        """
        found = self._get(f"/v1/customers/{person}/attributes?id_type=id")
        return dict(found["customer"]["attributes"])

    def segment_sizes(self) -> dict[str, int]:
        """Return the number of people in each segment, by the name of the segment."""
        return {
            segment["name"]: self._get(f"/v1/segments/{segment['id']}/customer_count")["count"]
            for segment in self._get("/v1/segments")["segments"]
        }

    def _get(self, path: str) -> Any:
        return self._request("GET", path, headers=self.app_headers).json()

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment cannot reach this machine
            response = session.request(method, self.url + path, timeout=30, **options)
        if not response.ok:
            raise LocalError(
                f"The workspace refused {method} {path}: HTTP {response.status_code}, {response.text[:500]}"
            )
        return response
