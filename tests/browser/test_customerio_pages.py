"""The pages inside Airflow, in a real Chromium: seen, read aloud, and used."""

from __future__ import annotations

import csv
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import COMPANIES_DAG, DAG, SCRIPT, SIGNUPS_DAG, VISITORS_DAG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, FrameLocator, Page

    from tests.browser.conftest import Pages

pytestmark = pytest.mark.browser

#: Milliseconds until Airflow's own parts of a page are drawn.
SETTLE = 700
#: How each page is looked at: its window, and the color mode.
LOOKS = {
    "light": ({"width": 1400, "height": 860}, "light"),
    "dark": ({"width": 1400, "height": 860}, "dark"),
    "phone": ({"width": 390, "height": 844}, "light"),
}


@contextmanager
def no_errors(page: Page) -> Iterator[None]:
    """Fail if the page writes an error to the console, or raises one."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield
    assert not errors


def frame_of(page: Page) -> FrameLocator:
    """Return the frame with our page."""
    return page.frame_locator("iframe")


def tab(pages: Pages, dag_id: str) -> str:
    """Return the address of the tab Imports of a DAG."""
    return f"{pages.airflow.url}/dags/{dag_id}/plugin/customerio-imports"


def confirm(frame: FrameLocator, button: str) -> None:
    """Press a button, and its namesake in the question that follows."""
    frame.get_by_role("button", name=button, exact=True).click()
    dialog = frame.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name=button, exact=True).click()
    expect(dialog).to_be_hidden()


def test_the_list_names_every_sync_and_finds_one(pages: Pages, page: Page) -> None:
    """Statuses are in our words, mistakes of specs are named, and search and filters narrow the list."""
    pages.log_in(page)
    with no_errors(page):
        page.get_by_role("link", name="Customer.io").click()
        frame = frame_of(page)
        row = frame.locator("tr", has_text="signups")
        expect(row).to_contain_text("Some rows failed")
        expect(row).to_contain_text("496")
        expect(row).to_contain_text("At 08:15")
        expect(frame.locator("tr", has_text="active_people")).to_contain_text("Completed")
        expect(frame.locator("tr", has_text="visitors")).to_contain_text("Paused")
        expect(frame.locator("tr", has_text="churned")).to_contain_text("churned.yaml:4:8")
        frame.get_by_placeholder("Search syncs").fill("fair")
        expect(frame.locator("tr[data-text]:visible")).to_have_count(1)
        expect(row).to_be_visible()
        frame.get_by_placeholder("Search syncs").fill("")
        frame.get_by_label("Status of the latest run").select_option("broken-spec")
        expect(frame.locator("tr[data-text]:visible")).to_have_count(3)
        frame.get_by_label("Status of the latest run").select_option("")
        frame.get_by_role("link", name="signups").click()
        expect(frame.get_by_role("heading", name="signups")).to_be_visible()
        page.wait_for_url(re.compile(f"{re.escape(SIGNUPS_DAG)}$"))
        page.reload()
        expect(frame.get_by_role("heading", name="signups")).to_be_visible()


def test_a_run_is_started_and_its_progress_moves(pages: Pages, page: Page) -> None:
    """After a question, and without a reload until it has Completed; then the sync is paused again."""
    pages.log_in(page)
    with no_errors(page):
        page.goto(tab(pages, VISITORS_DAG))
        frame = frame_of(page)
        expect(frame.get_by_text("No imports yet")).to_be_visible()
        confirm(frame, "Activate")
        expect(frame.get_by_text("Active", exact=True)).to_be_visible()
        confirm(frame, "Run now")
        progress = frame.get_by_text(re.compile(r"[1-9][\d,]* read, [\d,]+ imported"))
        expect(progress).to_be_visible()
        first = progress.inner_text()
        expect(progress).not_to_have_text(first)
        row = frame.locator("tbody tr").first
        expect(row).to_contain_text("Completed", timeout=60_000)
        expect(row).to_contain_text("60,000")
        confirm(frame, "Pause")
        expect(frame.get_by_role("heading", name="visitors")).to_contain_text("Paused")


def test_failed_rows_are_grouped_found_and_downloaded(pages: Pages, page: Page) -> None:
    """With what to do about each. A script in a person's name is text, on the page and in its title."""
    pages.log_in(page)
    (run,) = pages.airflow.client.runs(SIGNUPS_DAG)
    with no_errors(page):
        page.goto(f"{pages.airflow.url}/dags/{SIGNUPS_DAG}/runs/{run['dag_run_id']}/plugin/customerio-import")
        frame = frame_of(page)
        expect(frame.get_by_role("heading", name="Some rows failed")).to_be_visible()
        expect(frame.get_by_role("heading", name="4 failed rows")).to_be_visible()
        expect(frame.locator(".groups tbody tr")).to_have_count(4)
        expect(frame.locator(".groups")).to_contain_text("Exclude such rows in the query")
        expect(frame.locator(".rows tbody tr", has_text="card <img")).to_contain_text(f"card {SCRIPT}")
        with page.expect_download() as download:
            frame.get_by_role("link", name="Download CSV").click()
        with Path(download.value.path()).open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == 4
        (line,) = (line for line in lines if line["identifier"] == f"card {SCRIPT}")
        assert (line["first_name"], line["reason"]) == (SCRIPT, "invalid")
        frame.get_by_placeholder("Search failed rows").fill("failed_attribute")
        frame.get_by_role("button", name="Search").click()
        expect(frame.locator(".rows tbody tr")).to_have_count(1)
        assert page.frames[-1].title() == "Some rows failed · signups · Customer.io"
        frame.get_by_role("link", name="Task log").click()
        page.wait_for_url(re.compile("/tasks/sync"))


def test_a_last_sync_time_is_reset_and_a_dry_run_leaves_it(pages: Pages, page: Page) -> None:
    """Both are in the menu More and need a confirmation. Cancel changes nothing."""
    key = f"{COMPANIES_DAG}.last_sync_time"
    before = pages.airflow.client.variable(key)
    assert before != "0"
    pages.log_in(page)
    with no_errors(page):
        page.goto(tab(pages, COMPANIES_DAG))
        frame = frame_of(page)
        frame.get_by_text("More", exact=True).click()
        frame.get_by_role("button", name="Reset last sync time").click()
        frame.get_by_role("button", name="Cancel").click()
        assert pages.airflow.client.variable(key) == before
        frame.get_by_text("More", exact=True).click()
        confirm(frame, "Dry run")
        expect(frame.locator("tbody tr").first).to_contain_text("Dry run", timeout=60_000)
        assert pages.airflow.client.variable(key) == before
        frame.get_by_text("More", exact=True).click()
        frame.get_by_role("button", name="Reset last sync time").click()
        frame.get_by_role("dialog").get_by_role("button", name="Reset").click()
        expect(frame.get_by_text("the next run reads every row")).to_be_visible()
        assert pages.airflow.client.variable(key) == "0"


def test_an_ended_session_offers_to_log_in_again(pages: Pages, page: Page) -> None:
    """Inside the frame; the link leads out of it to Airflow's own login."""
    pages.log_in(page)
    page.goto(tab(pages, DAG))
    frame = frame_of(page)
    expect(frame.get_by_role("heading", name="active_people")).to_be_visible()
    page.context.clear_cookies()
    frame.get_by_role("link", name="Syncs").click()
    frame.get_by_role("link", name="Log in again").click()
    expect(page.locator("input[name=username]")).to_be_visible()


def test_a_dag_that_is_not_ours_has_one_sentence(pages: Pages, page: Page) -> None:
    """Airflow before 3.4 shows the tab on every DAG."""
    pages.log_in(page)
    with no_errors(page):
        page.goto(tab(pages, "nothing_of_ours"))
        page.goto(f"{pages.airflow.url}/customerio/dags/nothing_of_ours")
        expect(page.get_by_text("imports nothing into Customer.io")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_readable(pages: Pages, browser: Browser, look: str, tmp_path: Path) -> None:
    """Axe finds no violation, and no page scrolls sideways, in light, in dark and on a phone.

    With `PICTURES=docs/pictures` their pictures replace those in the documentation.
    """
    size, scheme = LOOKS[look]
    run = pages.airflow.client.runs(SIGNUPS_DAG)[-1]["dag_run_id"]
    addresses = {
        "syncs": ("/plugin/customerio", "/customerio/syncs"),
        "imports": (f"/dags/{DAG}/plugin/customerio-imports", f"/customerio/dags/{DAG}"),
        "import": (
            f"/dags/{SIGNUPS_DAG}/runs/{run}/plugin/customerio-import",
            f"/customerio/dags/{SIGNUPS_DAG}/runs/{run}",
        ),
        "help": ("/plugin/customerio/customerio/help", "/customerio/help"),
    }
    folder = Path(os.environ.get("PICTURES", tmp_path))
    page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(30_000)
    try:
        pages.log_in(page)
        for name, (inside, alone) in addresses.items():
            with no_errors(page):
                page.goto(f"{pages.airflow.url}{inside}")
                expect(frame_of(page).locator("main")).to_be_visible()
                page.wait_for_timeout(SETTLE)
                dark = frame_of(page).locator("html.dark")
                expect(dark).to_have_count(1 if scheme == "dark" else 0)
                if look != "phone":
                    page.screenshot(path=folder / f"{name}-{look}.png")
                page.goto(f"{pages.airflow.url}{alone}")
                if look == "phone":  # Airflow's own panels leave a tab no room there
                    page.screenshot(path=folder / f"{name}-{look}.png")
                expect(page.locator("html.dark")).to_have_count(1 if scheme == "dark" else 0)
                found = Axe().run(page)
                assert not found.response["violations"], found.generate_report()
                width = page.evaluate("document.documentElement.scrollWidth")
                assert width <= size["width"], f"{name} scrolls sideways"
    finally:
        page.close()
