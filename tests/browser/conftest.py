"""A deployment after two runs, and a real Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from local.sample_database import create_sample_database, log_in
from local.workspace import EmulatedWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG = "customerio.production.active_people"
#: Milliseconds to wait for a part of a page: the first page of a busy API server loads slowly.
_TIMEOUT = 30_000
_DAGS = Path(__file__).parents[2] / "dags"
_BROKEN_SPECS = {
    "churned.yaml": "name: churned\nworkspace: production\npostgres_conn_id: warehouse\nnulls: drop\n"
    "people:\n  query: SELECT id, email FROM people WHERE updated_at >= {{ last_synctime }}\n",
    "invoices.yaml": "name: invoices\nworkspace: production\nobjects:\n"
    "\tquery: SELECT id AS object_id FROM invoices\n",
    "trials.yaml": "nam: trials\nworkspace: newsletter\npeople: {query: SELECT 1 AS id}\n",
}
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Pages:
    """The running servers, and the login."""

    def __init__(self, airflow: LocalAirflow, workspace: EmulatedWorkspace) -> None:
        self.airflow = airflow
        self.workspace = workspace

    def log_in(self, page: Page) -> None:
        """Log in to Airflow."""
        page.goto(self.airflow.url)
        page.fill("input[name=username]", self.airflow.username)
        page.fill("input[name=password]", self.airflow.password)
        page.click("button[type=submit]")
        page.wait_for_url(f"{self.airflow.url}/")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Start a deployment, and import 5,000 people and then 50. Three of its specs are broken."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(_DAGS, folder / "dags")
    for name, text in _BROKEN_SPECS.items():
        (folder / "dags" / "syncs" / name).write_text(text)
    with LocalPostgres(folder) as postgres, EmulatedWorkspace() as workspace:
        with postgres.connect() as connection:
            create_sample_database(connection)
        connections: dict[str, dict[str, object]] = {
            "warehouse": postgres.airflow_connection(),
            "customerio_production": workspace.airflow_connection(),
        }
        with LocalAirflow(
            folder / "airflow",
            dags_folder=folder / "dags",
            connections=connections,
            environment={
                "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
                "AIRFLOW__CUSTOMERIO__APPLY_WAIT": "0",
            },
        ) as airflow:
            client = airflow.client
            client.wait_for_dag(DAG)
            client.unpause(DAG)
            for _ in range(2):
                assert client.wait_for_run(DAG, client.trigger(DAG)) == "success"
                with postgres.connect() as connection:
                    log_in(connection, 50)
            yield Pages(airflow, workspace)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium, which `make browser` installs."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not on the PATH. Run make browser, which installs it"
    with sync_playwright() as playwright:
        expect.set_options(timeout=_TIMEOUT)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page of the size of a laptop's screen."""
    page = browser.new_page(viewport={"width": 1400, "height": 800}, color_scheme="light")
    page.set_default_timeout(_TIMEOUT)
    yield page
    page.close()
