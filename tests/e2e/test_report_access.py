"""Access to reports in a real API server, for users of every role."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import secrets
import time
from http import HTTPStatus
from pathlib import Path  # noqa: TC003 - a fixture's type
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import jwt
import pytest
import requests
from fastapi.routing import APIRoute
from starlette.routing import Mount

from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from local.workspace import EmulatedWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLES = ("viewer", "user", "op", "admin")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SECRET = secrets.token_hex(32)
FACTORY = """\
from pathlib import Path  # noqa: TC003 - a fixture's type
from airflow_provider_cio.dag_factory import build_dags
globals().update(build_dags(Path(__file__).parent / "syncs"))
"""
SPEC = """\
name: {name}
workspace: production
postgres_conn_id: warehouse
retries: 0
people:
  query: SELECT NULL AS id, '{name}' AS plan
"""
BY_HAND = """\
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

common = dict(
    workspace="production", postgres_conn_id="warehouse", people_query="SELECT NULL AS id, 'h' AS plan"
)
with DAG("by_hand", schedule=None):
    CustomerIOSyncOperator(task_id="sync", sync_name="hand", **common)
with DAG("not_ours", schedule=None):
    EmptyOperator(task_id="nothing")
with DAG("mapped", schedule=None):
    CustomerIOSyncOperator.partial(task_id="sync", pool="customerio.production", **common).expand(
        sync_name=["mapped_a", "mapped_b"]
    )
"""
DAGS = {
    "customerio.production.first": "first",
    "customerio.production.other": "other",
    "by_hand": "hand",
    "mapped": "mapped_a",
}
HTML = {"Accept": "text/html,application/xhtml+xml"}


class Server:
    """An API server with a user of each role, and a failed run of each DAG."""

    def __init__(self, airflow: LocalAirflow, reports: Path) -> None:
        self.airflow = airflow
        self.reports = reports
        self.runs: dict[str, str] = {}
        self.tokens = {role: self._log_in(role) for role in (*ROLES, "guest")}

    def _log_in(self, role: str) -> str:
        response = requests.post(
            f"{self.airflow.url}/auth/token", json={"username": role, "password": role}, timeout=30
        )
        response.raise_for_status()
        token: str = response.json()["access_token"]
        return token

    def path(self, dag_id: str, **changes: object) -> str:
        """Return the path of the report of a DAG's run."""
        index = 0 if dag_id == "mapped" else -1
        query = {"run_id": self.runs[dag_id], "task_id": "sync", "map_index": index, **changes}
        return f"/customerio/reports/{quote(dag_id, safe='')}?{urlencode(query)}"

    def request(
        self, path: str, role: str | None = None, method: str = "GET", **options: Any
    ) -> requests.Response:
        """Send a request without following redirects."""
        headers = {**options.pop("headers", {})}
        if token := options.pop("token", self.tokens[role] if role else None):
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(
            method, f"{self.airflow.url}{path}", headers=headers, timeout=60, allow_redirects=False, **options
        )

    def set_report(self, dag_id: str, report: object, role: str) -> None:
        """Replace the report in the summary of a run."""
        run = quote(self.runs[dag_id], safe="")
        response = self.request(
            f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/sync/xcomEntries/summary",
            role,
            "PATCH",
            json={"value": {"status": "Some rows failed", "report": report}},
        )
        assert response.ok, response.text

    def summary(self, dag_id: str) -> dict[str, Any]:
        """Return the summary of a run."""
        found: dict[str, Any] = self.airflow.client.xcom(dag_id, self.runs[dag_id], "sync", "summary")
        return found

    def file(self, dag_id: str) -> Path:
        """Return the file of the report of a run."""
        (path,) = (self.reports / "production" / DAGS[dag_id]).iterdir()
        return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start that server. All runs have failed and have a report."""
    folder = tmp_path_factory.mktemp("access")
    (folder / "dags" / "syncs").mkdir(parents=True)
    (folder / "dags" / "factory.py").write_text(FACTORY)
    (folder / "dags" / "by_hand.py").write_text(BY_HAND)
    for name in ("first", "other"):
        (folder / "dags" / "syncs" / f"{name}.yaml").write_text(SPEC.format(name=name))
    (folder / "users.json").write_text(json.dumps({role: role for role in (*ROLES, "guest")}))
    environment = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            [*(f"{role}:{role}" for role in ROLES), "guest:"]
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "users.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": SECRET,
        "AIRFLOW__CUSTOMERIO__REPORTS_URL": f"file://{folder}/reports",
        "AIRFLOW__CUSTOMERIO__APPLY_WAIT": "0",
    }
    with LocalPostgres(folder) as postgres, EmulatedWorkspace() as workspace:
        connections: dict[str, dict[str, object]] = {
            "warehouse": postgres.airflow_connection(),
            "customerio_production": workspace.airflow_connection(),
        }
        with LocalAirflow(
            folder / "airflow", dags_folder=folder / "dags", connections=connections, environment=environment
        ) as airflow:
            server = Server(airflow, folder / "reports")
            for dag_id in DAGS:
                airflow.client.wait_for_dag(dag_id)
                airflow.client.unpause(dag_id)
            airflow.client.wait_for_pool("customerio.production")
            for dag_id in DAGS:
                server.runs[dag_id] = airflow.client.trigger(dag_id)
            for dag_id, run_id in server.runs.items():
                assert airflow.client.wait_for_run(dag_id, run_id, seconds=300) == "failed"
            yield server


def test_every_route_needs_a_logged_in_user(server: Server) -> None:
    """The test finds new routes, and fails for a route that does not check the user."""
    from airflow_provider_cio.plugin.app import app

    paths = {route.path for route in app.routes if isinstance(route, APIRoute)}
    assert "/syncs" in paths
    (static,) = (route for route in app.routes if not isinstance(route, APIRoute))
    assert isinstance(static, Mount)
    assert static.path == "/static"
    assert all(route.methods == {"GET"} for route in app.routes if isinstance(route, APIRoute))
    for template in paths:
        path = template.replace("{dag_id}", "customerio.production.first").replace("{run_id:path}", "x")
        assert "{" not in path, f"add the values for {template} to this test"
        query = server.path("customerio.production.first").partition("?")[2]
        for method in METHODS:
            for token in (None, "garbage", expired(server), unsigned(server)):
                response = server.request(f"/customerio{path}?{query}", method=method, token=token)
                assert response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.METHOD_NOT_ALLOWED}
                assert "plan" not in response.text
    for public_elsewhere in ("docs", "redoc", "openapi.json", "docs/oauth2-redirect", ""):
        assert server.request(f"/customerio/{public_elsewhere}").status_code == HTTPStatus.NOT_FOUND


def expired(server: Server) -> str:
    """Return a token that expired an hour ago."""
    claims = jwt.decode(server.tokens["admin"], options={"verify_signature": False})
    header = jwt.get_unverified_header(server.tokens["admin"])
    claims |= {"iat": int(time.time()) - 7200, "nbf": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
    return jwt.encode(claims, SECRET, algorithm=header["alg"], headers=header)


def unsigned(server: Server) -> str:
    """Return a token without a signature."""
    claims = jwt.decode(server.tokens["admin"], options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dag_id", DAGS)
def test_users_who_can_read_the_dag_get_its_report(server: Server, dag_id: str, role: str) -> None:
    """The API's token and the UI's cookie work. Browsers do not store the report or guess its type."""
    for response in (
        server.request(server.path(dag_id), role),
        server.request(server.path(dag_id), cookies={"_token": server.tokens[role]}),
    ):
        assert response.status_code == HTTPStatus.OK
        (line,) = csv.DictReader(io.StringIO(response.text))
        assert line["reason"] == "required"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        name = f"{DAGS[dag_id]}-{server.file(dag_id).name}"
        assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("dag_id", [*DAGS, "nowhere"])
def test_users_who_cannot_read_the_dag_are_refused(server: Server, dag_id: str) -> None:
    """A user without a role reads nothing, and the response does not reveal which DAGs exist."""
    server.runs.setdefault(dag_id, "x")
    response = server.request(server.path(dag_id), "guest", headers=HTML)
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert "plan" not in response.text


def test_users_who_are_not_logged_in_are_redirected_to_the_login(server: Server) -> None:
    """The login redirects back to the report. An expired cookie does not count as a login."""
    path = server.path("customerio.production.first")
    for cookies in ({}, {"_token": expired(server)}, {"_token": "garbage"}):
        response = server.request(path, headers=HTML, cookies=cookies)
        assert response.status_code == HTTPStatus.FOUND
        login = urlsplit(response.headers["Location"])
        assert (login.netloc, login.path) == ("", "/api/v2/auth/login")
        assert parse_qs(login.query)["next"] == [path]
        followed = requests.get(
            f"{server.airflow.url}{response.headers['Location']}", headers=HTML, timeout=60
        )
        assert followed.status_code == HTTPStatus.OK
        assert "next=" in followed.url


def test_an_edited_summary_opens_no_other_file(server: Server, tmp_path: Path) -> None:
    """The XCom can only select a report in the DAG's own folder."""
    mine, other = "customerio.production.first", "customerio.production.other"
    kept = server.summary(mine)["report"]
    folder, secret = server.file(mine).parent, server.file(other)
    (tmp_path / "secret").write_text("plan")
    (folder / "notes.csv").write_text("plan")
    names = [f"2026-01-0{day}T000000.000000Z.csv" for day in range(1, 5)]
    (folder / names[0]).symlink_to(secret)
    (folder / names[1]).mkdir()
    os.mkfifo(folder / names[2])
    edited: list[object] = [
        *(f"file://{folder}/{name}" for name in names),
        server.summary(other)["report"],
        f"file://{folder}/../other/{secret.name}",
        f"file://{folder}/..%2Fother%2F{secret.name}",
        f"file://{folder}/notes.csv",
        f"file://{folder}/{secret.name}\0.csv",
        f"{tmp_path}/secret",
        "/etc/passwd",
        "http://127.0.0.1/x.csv",
        "",
        "..",
        None,
        7,
        ["x"],
        {"a": {"b": "c"}},
    ]
    try:
        for report in edited:
            for role in ("user", "op"):
                server.set_report(mine, report, role)
                response = server.request(server.path(mine), role)
                assert response.status_code == HTTPStatus.NOT_FOUND, (report, response.text)
        server.set_report(mine, f"s3://elsewhere/{kept.rpartition('/')[2]}", "op")
        assert server.request(server.path(mine), "op").status_code == HTTPStatus.OK
    finally:
        server.set_report(mine, kept, "admin")
        (folder / names[0]).unlink()
        (folder / names[1]).rmdir()
        (folder / names[2]).unlink()
        (folder / "notes.csv").unlink()


def test_a_linked_folder_is_not_followed(server: Server) -> None:
    """The folder of a sync and the folder of a workspace may not be links."""
    folder = server.file("customerio.production.first").parent
    for linked in (folder, folder.parent):
        target = linked.with_name("target")
        linked.rename(target)
        linked.symlink_to(target)
        try:
            response = server.request(server.path("customerio.production.first"), "admin")
        finally:
            linked.unlink()
            target.rename(linked)
        assert response.status_code == HTTPStatus.NOT_FOUND
    assert server.request(server.path("customerio.production.first"), "admin").status_code == HTTPStatus.OK


def test_invalid_requests_are_client_errors(server: Server) -> None:
    """No request causes an error of the server."""
    dag_id = "customerio.production.first"
    for changes in (
        {"run_id": "no_such_run"},
        {"task_id": "no_such_task"},
        {"map_index": 5},
        {"map_index": 2**31},
        {"map_index": -2},
        {"map_index": "x"},
        {"run_id": "a\0b"},
        {"run_id": "x" * 10_000},
        {"run_id": ""},
        {"task_id": "../../x"},
    ):
        status = server.request(server.path(dag_id, **changes), "admin").status_code
        assert status in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}, changes
    query = server.path(dag_id).partition("?")[2]
    for name in ("~", "nowhere", "..", "%2e%2e", "a%00b", "x" * 300, "a%2Fb"):
        status = server.request(f"/customerio/reports/{name}?{query}", "viewer").status_code
        assert HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR, name


def page_path(server: Server, dag_id: str) -> str:
    """Return the path of the page of a DAG's run."""
    return f"/customerio/dags/{quote(dag_id, safe='')}/runs/{quote(server.runs[dag_id], safe='')}"


#: What each role may do, by the id of the button.
BUTTONS = {
    "viewer": set(),
    "user": {"run-now", "full-refresh", "dry-run", "pause"},
    "op": {"run-now", "full-refresh", "dry-run", "pause"},
    "admin": {"run-now", "full-refresh", "dry-run", "pause"},
}


@pytest.mark.parametrize("role", ROLES)
def test_users_see_the_pages_of_the_dags_that_they_can_read(server: Server, role: str) -> None:
    """With the buttons that their role allows. No page is stored, and each has its policy."""
    listed = server.request("/customerio/syncs", role, headers=HTML)
    imports = server.request("/customerio/dags/customerio.production.first", role, headers=HTML)
    for response in (listed, imports, server.request("/customerio/help", role, headers=HTML)):
        assert response.status_code == HTTPStatus.OK
        assert response.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self';"
        )
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("first", "other", "hand"):
        assert f">{name}</a>" in listed.text
    assert set(re.findall(r'<button[^>]* id="([a-z-]+)" data-method', imports.text)) == BUTTONS[role]
    for dag_id in DAGS:
        response = server.request(page_path(server, dag_id), role, headers=HTML)
        assert response.status_code == HTTPStatus.OK
        assert "Some rows failed" in response.text
        assert "<code>required</code>" in response.text


def test_a_user_without_a_role_sees_no_sync(server: Server) -> None:
    """The list is empty, and the other pages refuse the user, whether the DAG exists or not."""
    listed = server.request("/customerio/syncs", "guest", headers=HTML)
    assert listed.status_code == HTTPStatus.OK
    assert "No syncs yet" in listed.text
    assert "production" not in listed.text
    for dag_id in ("customerio.production.first", "nowhere"):
        for path in (f"/customerio/dags/{dag_id}", f"/customerio/dags/{dag_id}/runs/x"):
            response = server.request(path, "guest", headers=HTML)
            assert response.status_code == HTTPStatus.FORBIDDEN
            assert "Ask an administrator" in response.text


def test_an_ended_session_shows_a_login_link_inside_a_frame(server: Server) -> None:
    """The login page would be cut off from Airflow there. A program gets JSON, a browser is redirected."""
    path = "/customerio/syncs"
    framed = server.request(path, headers={**HTML, "Sec-Fetch-Dest": "iframe"})
    assert framed.status_code == HTTPStatus.UNAUTHORIZED
    assert "Log in again" in framed.text
    assert server.request(path, headers=HTML).status_code == HTTPStatus.FOUND
    assert server.request(path).json() == {"detail": "Not authenticated"}


def test_static_files_are_public_and_nothing_else_is(server: Server) -> None:
    """They hold no data. Their addresses in pages change with their content, so browsers keep them."""
    html = server.request("/customerio/help", "viewer", headers=HTML).text
    found = re.findall(r'(?:href|src)="(/customerio/static/[^"]+)"', html)
    assert len(found) == 4
    for path in found:
        response = server.request(path)
        assert response.status_code == HTTPStatus.OK
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("", "../app.py", "..%2fapp.py", "%2e%2e/templates/base.html", "nothing.js"):
        assert server.request(f"/customerio/static/{path}").status_code in {
            HTTPStatus.NOT_FOUND,
            HTTPStatus.UNAUTHORIZED,
        }


def test_invalid_input_of_pages_is_a_client_error(server: Server) -> None:
    """No input causes a server error, and no input becomes HTML of a page."""
    script = quote("<script>alert(1)</script>")
    first = "/customerio/dags/customerio.production.first"
    for path in (
        f"/customerio/syncs?search={script}&workspace={script}&status={script}",
        f"/customerio/syncs?search={'x' * 10_000}",
        f"{first}?before=0",
        f"{first}?before=99999999999999999999",
        f"{first}?before={script}",
        f"{first}/runs/{script}",
        f"{first}/runs/a%00b",
        f"{first}/runs/{'x' * 300}",
        f"{first}/runs/a/../b",
        f"{page_path(server, 'customerio.production.first')}?search={script}",
        "/customerio/dags/~",
        "/customerio/dags/%7BDAG_ID%7D",
        f"/customerio/dags/{script}",
    ):
        response = server.request(path, "viewer", headers=HTML)
        assert response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, path
        assert "<script>alert" not in response.text


def test_the_tab_of_another_dag_has_one_sentence(server: Server) -> None:
    """Airflow before 3.4 shows our tab on every DAG."""
    response = server.request("/customerio/dags/not_ours", "viewer", headers=HTML)
    assert response.status_code == HTTPStatus.OK
    assert "not_ours imports nothing into Customer.io" in response.text


def test_airflow_has_the_pages_in_its_navigation(server: Server) -> None:
    """An entry of the navigation, a tab of a DAG and a tab of a run, each with a route of its own."""
    plugins = server.request("/api/v2/plugins", "admin").json()["plugins"]
    (ours,) = (plugin for plugin in plugins if plugin["name"] == "customerio")
    assert [(view["destination"], view["href"]) for view in ours["external_views"]] == [
        ("nav", "/customerio/syncs"),
        ("dag", "/customerio/dags/{DAG_ID}"),
        ("dag_run", "/customerio/dags/{DAG_ID}/runs/{RUN_ID}"),
    ]
    assert len({view["url_route"] for view in ours["external_views"]}) == 3
    assert [view.get("applies_to") for view in ours["external_views"]][1:] == [
        {"dag.tags.name": ["customerio"]}
    ] * 2


def test_the_task_links_to_its_page_and_report(server: Server) -> None:
    """Users who may not see plugins reach the pages from there."""
    dag_id = "customerio.production.first"
    links = server.request(
        f"/api/v2/dags/{dag_id}/dagRuns/{quote(server.runs[dag_id], safe='')}/taskInstances/sync/links",
        "viewer",
    ).json()["extra_links"]
    assert links["Import"] == f"{server.airflow.url}{page_path(server, dag_id)}"
    assert links["Failed rows"].startswith(f"{server.airflow.url}/customerio/reports/")
    assert not links["Customer.io workspace"]
