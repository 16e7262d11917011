"""Who gets which report: the app in a real API server, asked by everybody that there is."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import time
from http import HTTPStatus
from pathlib import Path  # noqa: TC003 - a fixture's type
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import jwt
import pytest
import requests

from airflow_provider_cio.emulator.process import EmulatorProcess
from local.airflow import LocalAirflow
from local.postgres import LocalPostgres

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
from airflow.sdk import DAG
from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

common = dict(
    workspace="production", postgres_conn_id="warehouse", people_query="SELECT NULL AS id, 'h' AS plan"
)
with DAG("by_hand", schedule=None):
    CustomerIOSyncOperator(task_id="sync", sync_name="hand", **common)
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
        answer = requests.post(
            f"{self.airflow.url}/auth/token", json={"username": role, "password": role}, timeout=30
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def path(self, dag_id: str, **changes: object) -> str:
        """Build the path of the report of a DAG's run."""
        index = 0 if dag_id == "mapped" else -1
        query = {"run_id": self.runs[dag_id], "task_id": "sync", "map_index": index, **changes}
        return f"/customerio/reports/{quote(dag_id, safe='')}?{urlencode(query)}"

    def ask(
        self, path: str, role: str | None = None, method: str = "GET", **options: Any
    ) -> requests.Response:
        """Send a request, as it is, and follow no redirect."""
        headers = {**options.pop("headers", {})}
        if token := options.pop("token", self.tokens[role] if role else None):
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(
            method, f"{self.airflow.url}{path}", headers=headers, timeout=60, allow_redirects=False, **options
        )

    def set_report(self, dag_id: str, report: object, role: str) -> None:
        """Write another report into the summary of a run."""
        run = quote(self.runs[dag_id], safe="")
        answer = self.ask(
            f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/sync/xcomEntries/summary",
            role,
            "PATCH",
            json={"value": {"status": "Some rows failed", "report": report}},
        )
        assert answer.ok, answer.text

    def summary(self, dag_id: str) -> dict[str, Any]:
        """Read the summary of a run."""
        found: dict[str, Any] = self.airflow.client.xcom(dag_id, self.runs[dag_id], "sync", "summary")
        return found

    def file(self, dag_id: str) -> Path:
        """Find the report of a run."""
        (path,) = (self.reports / "production" / DAGS[dag_id]).iterdir()
        return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give that server; all runs have failed and left a report."""
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
    with LocalPostgres(folder) as postgres, EmulatorProcess() as emulator:
        connections: dict[str, dict[str, object]] = {
            "warehouse": postgres.airflow_connection(),
            "customerio_production": {
                "conn_type": "customerio",
                "login": emulator.site_id,
                "password": emulator.api_key,
                "host": emulator.url,
            },
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


def test_every_route_asks_who_calls(server: Server) -> None:
    """New routes are found by this test; one without a check of the user fails it."""
    from airflow_provider_cio.plugin.app import app

    paths = {route.path for route in app.routes if hasattr(route, "path")}
    assert paths
    assert len(paths) == len(app.routes)  # no mounted app, which would have routes of its own
    for template in paths:
        path = template.replace("{dag_id}", "customerio.production.first")
        assert "{" not in path, f"say what {template} is to be asked with"
        query = server.path("customerio.production.first").partition("?")[2]
        for method in METHODS:
            for token in (None, "garbage", expired(server), unsigned(server)):
                answer = server.ask(f"/customerio{path}?{query}", method=method, token=token)
                assert answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.METHOD_NOT_ALLOWED}
                assert "plan" not in answer.text
    for open_elsewhere in ("docs", "redoc", "openapi.json", "docs/oauth2-redirect", ""):
        assert server.ask(f"/customerio/{open_elsewhere}").status_code == HTTPStatus.NOT_FOUND


def expired(server: Server) -> str:
    """Make a token that was valid until an hour ago."""
    claims = jwt.decode(server.tokens["admin"], options={"verify_signature": False})
    header = jwt.get_unverified_header(server.tokens["admin"])
    claims |= {"iat": int(time.time()) - 7200, "nbf": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
    return jwt.encode(claims, SECRET, algorithm=header["alg"], headers=header)


def unsigned(server: Server) -> str:
    """Make a token that needs no key."""
    claims = jwt.decode(server.tokens["admin"], options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dag_id", DAGS)
def test_who_may_read_the_dag_gets_its_report(server: Server, dag_id: str, role: str) -> None:
    """With the token of the API or the cookie of the UI; no browser keeps it or guesses at its type."""
    for answer in (
        server.ask(server.path(dag_id), role),
        server.ask(server.path(dag_id), cookies={"_token": server.tokens[role]}),
    ):
        assert answer.status_code == HTTPStatus.OK
        (line,) = csv.DictReader(io.StringIO(answer.text))
        assert line["reason"] == "required"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        name = f"{DAGS[dag_id]}-{server.file(dag_id).name}"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("dag_id", [*DAGS, "nowhere"])
def test_who_may_not_read_the_dag_is_refused(server: Server, dag_id: str) -> None:
    """A user without a role may log in and read nothing; the answer does not tell which DAGs there are."""
    server.runs.setdefault(dag_id, "x")
    answer = server.ask(server.path(dag_id), "guest", headers=HTML)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "plan" not in answer.text


def test_a_person_who_is_not_logged_in_is_sent_to_the_login(server: Server) -> None:
    """The link leads back to the report after the login; a cookie that has expired is no login."""
    path = server.path("customerio.production.first")
    for cookies in ({}, {"_token": expired(server)}, {"_token": "garbage"}):
        answer = server.ask(path, headers=HTML, cookies=cookies)
        assert answer.status_code == HTTPStatus.FOUND
        login = urlsplit(answer.headers["Location"])
        assert (login.netloc, login.path) == ("", "/api/v2/auth/login")
        assert parse_qs(login.query)["next"] == [path]
        followed = requests.get(f"{server.airflow.url}{answer.headers['Location']}", headers=HTML, timeout=60)
        assert followed.status_code == HTTPStatus.OK
        assert "next=" in followed.url


def test_a_summary_that_somebody_edited_opens_no_other_file(server: Server, tmp_path: Path) -> None:
    """The XCom gives the name of a report of the DAG's own folder and nothing else."""
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
                answer = server.ask(server.path(mine), role)
                assert answer.status_code == HTTPStatus.NOT_FOUND, (report, answer.text)
        server.set_report(mine, f"s3://elsewhere/{kept.rpartition('/')[2]}", "op")
        assert server.ask(server.path(mine), "op").status_code == HTTPStatus.OK
    finally:
        server.set_report(mine, kept, "admin")
        (folder / names[0]).unlink()
        (folder / names[1]).rmdir()
        (folder / names[2]).unlink()
        (folder / "notes.csv").unlink()


def test_a_folder_that_is_a_link_is_not_followed(server: Server) -> None:
    """Neither the folder of a sync nor that of a workspace may lead elsewhere."""
    folder = server.file("customerio.production.first").parent
    for place in (folder, folder.parent):
        away = place.with_name("away")
        place.rename(away)
        place.symlink_to(away)
        try:
            answer = server.ask(server.path("customerio.production.first"), "admin")
        finally:
            place.unlink()
            away.rename(place)
        assert answer.status_code == HTTPStatus.NOT_FOUND
    assert server.ask(server.path("customerio.production.first"), "admin").status_code == HTTPStatus.OK


def test_questions_that_have_no_answer(server: Server) -> None:
    """Nothing that a client may send becomes an error of the server."""
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
        status = server.ask(server.path(dag_id, **changes), "admin").status_code
        assert status in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}, changes
    query = server.path(dag_id).partition("?")[2]
    for name in ("~", "nowhere", "..", "%2e%2e", "a%00b", "x" * 300, "a%2Fb"):
        status = server.ask(f"/customerio/reports/{name}?{query}", "viewer").status_code
        assert HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR, name
