"""Who sees which page with Airflow's FAB auth manager, which compose uses, in an environment of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import requests

import local.airflow
from airflow_provider_cio.emulator.process import EmulatorProcess
from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from tests.e2e.test_report_access import FACTORY, HTML, SPEC

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
#: The provider of FAB needs packages that nothing else here needs.
ENVIRONMENT = PROJECT / ".cache" / "fab"
ROLES = ("Viewer", "User", "Op", "Admin")
DAG = "customerio.production.first"
#: Users whose name is their role, and whose password is their name.
CREATE_USERS = """\
import sys
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    for role in sys.argv[1:]:
        name = role.lower()
        found = builder.sm.find_role(role)
        assert builder.sm.add_user(name, role, "User", f"{name}@example.com", found, password=name)
"""


@pytest.fixture(scope="module")
def python() -> str:
    """Give the Python of the environment, which `make test` installs."""
    if not (ENVIRONMENT / ".ready").exists():
        pytest.skip("Airflow with the FAB auth manager is not installed: make .cache/fab/.ready")
    return str(ENVIRONMENT / "bin" / "python")


class FabServer:
    """An Airflow with the FAB auth manager, a user of each role, and a run with a failed row."""

    def __init__(self, airflow: LocalAirflow, run_id: str) -> None:
        self.airflow = airflow
        self.run_id = run_id
        self.tokens = {role: self._log_in(role) for role in ROLES}

    def _log_in(self, role: str) -> str:
        name = role.lower()
        response = requests.post(
            f"{self.airflow.url}/auth/token", json={"username": name, "password": name}, timeout=60
        )
        response.raise_for_status()
        return str(response.json()["access_token"])

    def get(self, path: str, role: str) -> requests.Response:
        """Get a page as a user with this role."""
        headers = {**HTML, "Authorization": f"Bearer {self.tokens[role]}"}
        return requests.get(f"{self.airflow.url}{path}", headers=headers, timeout=60, allow_redirects=False)

    @property
    def page(self) -> str:
        """The path of the page of the run."""
        return f"/customerio/dags/{DAG}/runs/{quote(self.run_id, safe='')}"


@pytest.fixture(scope="module")
def server(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabServer]:
    """Give that server."""
    folder = tmp_path_factory.mktemp("fab")
    (folder / "dags" / "syncs").mkdir(parents=True)
    (folder / "dags" / "factory.py").write_text(FACTORY)
    (folder / "dags" / "syncs" / "first.yaml").write_text(SPEC.format(name="first"))
    environment = {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CUSTOMERIO__APPLY_WAIT": "0",
        "PYTHONPATH": str(PROJECT),
    }
    with (
        pytest.MonkeyPatch.context() as patch,
        LocalPostgres(folder) as postgres,
        EmulatorProcess() as emulator,
    ):
        patch.setattr(sys, "executable", python)
        patch.setattr(local.airflow, "_CACHE", folder / "cache")  # FAB's tables belong into no other database
        connections: dict[str, dict[str, object]] = {
            "warehouse": postgres.airflow_connection(),
            "customerio_production": {
                "conn_type": "customerio",
                "login": emulator.site_id,
                "password": emulator.api_key,
                "host": emulator.url,
            },
        }
        airflow = FabAirflow(
            folder / "airflow", dags_folder=folder / "dags", connections=connections, environment=environment
        )
        with airflow:
            airflow.client.wait_for_dag(DAG)
            airflow.client.unpause(DAG)
            airflow.client.wait_for_pool("customerio.production")
            run_id = airflow.client.trigger(DAG)
            assert airflow.client.wait_for_run(DAG, run_id, seconds=300) == "failed"
            yield FabServer(airflow, run_id)


class FabAirflow(LocalAirflow):
    """A local Airflow whose users are in its database."""

    def _prepare_home(self) -> None:
        super()._prepare_home()
        subprocess.run(
            [sys.executable, "-c", CREATE_USERS, *ROLES],
            env=self._environment,
            check=True,
            capture_output=True,
        )


def buttons(html: str) -> set[str]:
    """Return the ids of a page's actions."""
    return set(re.findall(r'<button[^>]* id="([a-z-]+)" data-method', html))


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_the_pages(server: FabServer, role: str) -> None:
    """Viewers see no action. The extra link of the task leads users there who may not see plugins."""
    for path in ("/customerio/syncs", f"/customerio/dags/{DAG}", server.page):
        response = server.get(path, role)
        assert response.status_code == HTTPStatus.OK, path
        assert "Some rows failed" in response.text
    expected = set() if role == "Viewer" else {"run-now", "full-refresh", "dry-run", "pause"}
    assert buttons(server.get(f"/customerio/dags/{DAG}", role).text) == expected
    links = f"/api/v2/dags/{DAG}/dagRuns/{quote(server.run_id, safe='')}/taskInstances/sync/links"
    assert server.get(links, role).json()["extra_links"]["Import"] == f"{server.airflow.url}{server.page}"


@pytest.mark.parametrize("role", ROLES)
def test_tabs_need_the_permission_on_plugins(server: FabServer, role: str) -> None:
    """Viewer and User lack it in FAB's default roles. Docs name the grant: can read on Plugins."""
    expected = HTTPStatus.OK if role in {"Op", "Admin"} else HTTPStatus.FORBIDDEN
    assert server.get("/api/v2/plugins", role).status_code == expected
