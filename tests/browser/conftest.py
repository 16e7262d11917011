"""A deployment after two runs, and a real Chromium."""

from __future__ import annotations

import datetime as dt
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import create_engine

from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from local.sample_database import KNOWN_EMAIL, create_sample_database, log_in
from local.workspace import EmulatedWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG = "customerio.production.active_people"
#: Milliseconds to wait for a part of a page: the first page of a busy API server loads slowly.
_TIMEOUT = 30_000
_DAGS = Path(__file__).parents[2] / "dags"
SIGNUPS_DAG = "customerio.newsletter.signups"
COMPANIES_DAG = "customerio.production.companies"
VISITORS_DAG = "customerio.production.visitors"
#: A name that would run if a page did not escape it.
SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
#: Postgres takes a second for every 4,000 rows, so that a person sees the numbers move.
_VISITORS_SPEC = """\
name: visitors
description: Everyone who visited the shop, one row for each visit
workspace: production
schedule: "0 6 * * 1-5"
postgres_conn_id: warehouse
people:
  query: |
    SELECT 'v' || n AS id, repeat(n::text, 20) AS page FROM generate_series(1, 60000) n
    WHERE n % 4000 > 0 OR pg_sleep(1) IS NOT NULL
"""
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
    (folder / "dags" / "syncs" / "visitors.yaml").write_text(_VISITORS_SPEC)
    with (
        LocalPostgres(folder) as postgres,
        EmulatedWorkspace() as workspace,
        EmulatedWorkspace() as newsletter,
    ):
        newsletter.identify("web-1", email=KNOWN_EMAIL)
        with postgres.connect() as connection:
            create_sample_database(connection)
            connection.execute(
                "UPDATE signups SET first_name = %s, card = %s WHERE line = 127", [SCRIPT, f"card {SCRIPT}"]
            )
        connections: dict[str, dict[str, object]] = {
            "warehouse": postgres.airflow_connection(),
            "customerio_production": workspace.airflow_connection(),
            "customerio_newsletter": newsletter.airflow_connection(),
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
            for dag_id in (DAG, COMPANIES_DAG, SIGNUPS_DAG, VISITORS_DAG):
                client.wait_for_dag(dag_id)
            _add_history(airflow.database)
            for dag_id in (DAG, COMPANIES_DAG, SIGNUPS_DAG):
                client.unpause(dag_id)
            for number in range(4):
                dags = (DAG,) if number else (DAG, COMPANIES_DAG, SIGNUPS_DAG)
                runs = {dag_id: client.trigger(dag_id, {"dry_run": number == 2}) for dag_id in dags}
                states = {dag_id: client.wait_for_run(dag_id, run_id) for dag_id, run_id in runs.items()}
                assert states.pop(SIGNUPS_DAG, "failed") == "failed"
                assert set(states.values()) == {"success"}
                with postgres.connect() as connection:
                    log_in(connection, 50 + 700 * number)
            yield Pages(airflow, workspace)


def _add_history(database: Path) -> None:
    """Add runs of the last day to two syncs, for charts with something to see."""
    os.environ.setdefault("AIRFLOW_HOME", str(database.parent))  # Airflow reads it when it is imported
    from airflow.models import import_all_models

    from local.many_runs import PastRun, add_past_runs

    import_all_models()
    start = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=18)
    runs = []
    for number in range(32):
        rows = int(2_600 + 2_200 * math.sin(number / 5) + 390 * (number * 7 % 5))
        runs.append(
            PastRun(
                number + 1,
                "production",
                "active_people",
                start + number * dt.timedelta(minutes=30),
                rows=rows,
                failed=12 if number in {11, 12} else 0,
                seconds=round(rows / 5_200 + 0.2 * (number % 3), 3),
            )
        )
    engine = create_engine(f"sqlite:///{database}")
    add_past_runs(engine, runs)
    engine.dispose()


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
