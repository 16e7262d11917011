"""The pages behind a reverse proxy that serves Airflow under a path of its own."""

from __future__ import annotations

import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

from local.airflow import LocalAirflow
from local.processes import free_port
from tests.e2e.test_report_access import FACTORY, HTML, SPEC

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG = "customerio.production.first"
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-encoding", "content-length"}


class _Proxy(BaseHTTPRequestHandler):
    """Forwards requests for /team/airflow, and refuses all others."""

    upstream = ""
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        if not self.path.startswith("/team/airflow/"):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        response = requests.request(
            self.command,
            self.upstream + self.path,
            headers=dict(self.headers),
            data=body,
            timeout=60,
            allow_redirects=False,
        )
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)

    do_GET = do_POST = _forward  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of an Airflow behind a proxy."""
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "dags" / "syncs").mkdir(parents=True)
    (folder / "dags" / "factory.py").write_text(FACTORY)
    (folder / "dags" / "syncs" / "first.yaml").write_text(SPEC.format(name="first"))
    port = free_port()
    address = f"http://127.0.0.1:{port}/team/airflow"
    airflow = LocalAirflow(
        folder / "airflow",
        dags_folder=folder / "dags",
        environment={"AIRFLOW__API__BASE_URL": address},
    )
    airflow.client.url += "/team/airflow"  # Airflow then responds below the path only
    handler = type("Proxy", (_Proxy,), {"upstream": airflow.url})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server, airflow:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        airflow.client.wait_for_dag(DAG)
        yield address
        server.shutdown()


def test_every_link_stays_below_the_path(proxy: str) -> None:
    """Pages, their files and their actions; a browser without a login is sent to the login below it, too."""
    root = proxy.removesuffix("/team/airflow")
    token = requests.post(
        f"{proxy}/auth/token", json={"username": "admin", "password": "admin"}, timeout=60
    ).json()["access_token"]
    session = requests.Session()
    session.headers.update({**HTML, "Authorization": f"Bearer {token}"})
    for path in ("/customerio/syncs", f"/customerio/dags/{DAG}", "/customerio/help"):
        response = session.get(f"{proxy}{path}", timeout=60)
        assert response.status_code == HTTPStatus.OK
        links = re.findall(r'(?:href|src|data-url)="([^"#]+)"', response.text)
        assert links
        assert all(link.startswith("/team/airflow/") for link in links), links
        for link in links:
            if "/static/" in link:
                assert session.get(f"{root}{link}", timeout=60).status_code == HTTPStatus.OK
    (ours,) = (
        plugin
        for plugin in session.get(f"{proxy}/api/v2/plugins", timeout=60).json()["plugins"]
        if plugin["name"] == "customerio"
    )
    assert all(view["href"].startswith("/team/airflow/customerio/") for view in ours["external_views"])
    anonymous = requests.get(f"{proxy}/customerio/syncs", headers=HTML, timeout=60, allow_redirects=False)
    login = urlsplit(anonymous.headers["Location"])
    assert login.path == "/team/airflow/api/v2/auth/login"
    assert login.query == "next=%2Fteam%2Fairflow%2Fcustomerio%2Fsyncs"
