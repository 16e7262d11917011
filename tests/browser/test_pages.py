"""The pages in a real Chromium. These tests also take the pictures of the documentation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DAG

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Pages

pytestmark = pytest.mark.browser


def take_picture(page: Page, name: str, folder: Path) -> None:
    """Take a picture of the page. With `PICTURES=docs/pictures`, it replaces the one in the documentation."""
    page.screenshot(path=Path(os.environ.get("PICTURES", folder)) / f"{name}.png")


def test_airflow_shows_the_sync_and_its_runs(pages: Pages, page: Page, tmp_path: Path) -> None:
    """Airflow lists the sync, and both runs with success."""
    pages.log_in(page)
    page.goto(f"{pages.airflow.url}/dags/{DAG}/runs")
    expect(page.get_by_text("success", exact=False).first).to_be_visible()
    expect(page.get_by_text("active_people", exact=False).first).to_be_visible()
    page.goto(f"{pages.airflow.url}/dags/{DAG}")
    expect(page.get_by_text("sync", exact=True).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    take_picture(page, "airflow", tmp_path)


def test_the_trigger_form_offers_full_refresh_and_dry_run(pages: Pages, page: Page, tmp_path: Path) -> None:
    """The form has two switches with a title."""
    pages.log_in(page)
    page.goto(f"{pages.airflow.url}/dags/{DAG}")
    page.get_by_role("button", name="Trigger").first.click()
    expect(page.get_by_text("Full refresh").first).to_be_visible()
    expect(page.get_by_text("Dry run").first).to_be_visible()
    take_picture(page, "trigger", tmp_path)


def test_broken_specs_are_in_the_list_with_their_mistakes(pages: Pages, page: Page, tmp_path: Path) -> None:
    """Each broken spec has a tag in the list of DAGs, and its mistakes in its docs."""
    pages.log_in(page)
    page.goto(f"{pages.airflow.url}/dags?tags=customerio")
    expect(page.get_by_text("spec-error")).to_have_count(3)
    for name in (DAG, "customerio.production.churned", "customerio_spec_error.trials"):
        expect(page.get_by_text(name).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    take_picture(page, "broken-specs", tmp_path)
    page.goto(f"{pages.airflow.url}/dags/customerio.production.churned/details")
    page.get_by_role("button", name="Dag Docs").first.click()
    expect(page.get_by_text("nulls cannot be drop").first).to_be_visible()
    take_picture(page, "broken-spec", tmp_path)


def test_airflow_lists_provider_and_pool(pages: Pages, page: Page) -> None:
    """Airflow's pages for administrators list the provider and the pool of the workspace."""
    pages.log_in(page)
    page.goto(f"{pages.airflow.url}/providers")
    expect(page.get_by_text("airflow-provider-cio").first).to_be_visible()
    page.goto(f"{pages.airflow.url}/pools")
    expect(page.get_by_text("customerio.production").first).to_be_visible()


def test_the_connection_form_has_customerio_fields(pages: Pages, page: Page, tmp_path: Path) -> None:
    """The fields have Customer.io's names."""
    pages.log_in(page)
    page.goto(f"{pages.airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    page.get_by_role("combobox").last.click()
    page.keyboard.type("customerio")
    page.keyboard.press("Enter")
    for label in ("Site ID", "Track API key", "Track API base URL"):
        expect(page.get_by_text(label).first).to_be_visible()
    take_picture(page, "connection", tmp_path)


def test_the_workspace_shows_its_people(pages: Pages, page: Page, tmp_path: Path) -> None:
    """The emulator's page finds a person, and has no JavaScript errors."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(pages.workspace.url)
    expect(page.get_by_text("5,000").first).to_be_visible()
    take_picture(page, "workspace", tmp_path)
    page.locator("input[type=search]").first.fill("1001")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1001").first).to_be_visible()
    assert not errors
