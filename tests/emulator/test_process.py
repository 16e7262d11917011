"""The emulator's process: start, stop, database file, counting, and official clients over TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests
from async_customerio import AsyncCustomerIO, Regions
from cryptography import x509
from customerio import CustomerIO, CustomerIOException

from airflow_provider_cio.emulator.process import EmulatorProcess
from tests.certificates import Authority
from tests.emulator.conftest import Client, person

if TYPE_CHECKING:
    from pathlib import Path


def test_prints_values_and_listens() -> None:
    """The options are printed one per line, and the server listens when the URL is printed."""
    command = [sys.executable, "-m", "airflow_provider_cio.emulator", "--port", "0", "--site-id", "me"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline().rstrip("\n") for _ in range(7)]
        values = dict(line.split(": ", 1) for line in lines)
        auth = (values["site_id"], values["api_key"])
        answer = requests.get(f"{values['url']}/api/v1/accounts/region", auth=auth, timeout=5)
        process.terminate()
    assert values["site_id"] == "me"
    assert set(values) == {"site_id", "api_key", "app_api_key", "database", "count_only", "faults", "url"}
    assert answer.status_code == 200


def test_needs_no_airflow() -> None:
    """The emulator does not import Airflow."""
    program = "import sys, airflow_provider_cio.emulator.server; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_port_in_use(running: Client) -> None:
    """A port that is in use ends the process with an error."""
    port = running.emulator.url.rpartition(":")[2]
    command = [sys.executable, "-m", "airflow_provider_cio.emulator", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode
    assert "address already in use" in ended.stderr


def test_database_file(tmp_path: Path) -> None:
    """With a database file, people are kept across processes, and cio_ids are not reused."""
    with EmulatorProcess(database=tmp_path / "workspace.db") as emulator:
        Client(emulator).identify({"id": "1"}, {"city": "Rome"})
        Client(emulator).identify({"id": "2"})
        Client(emulator).batch(person("delete", {"id": "2"}))
    with EmulatorProcess(database=tmp_path / "workspace.db") as emulator:
        client = Client(emulator)
        assert client.attributes("1") == {"id": "1", "city": "Rome"}
        client.identify({"id": "3"})
        customer = client.customer("3")
        assert customer is not None
        assert customer["attributes"]["cio_id"] == "a3000003"


def test_count_only() -> None:
    """With --count-only, credentials and the structure of a batch are checked, and nothing is stored."""
    with EmulatorProcess(count_only=True) as emulator:
        client = Client(emulator)
        operations = [person("identify", {"id": str(number)}) for number in range(100)]
        assert client.batch(*operations).content == b"{}\n"
        assert client.track("POST", "/api/v2/entity", json=operations[0]).content == b"{}\n"
        assert client.track("POST", "/api/v2/batch", data="[").status_code == 400
        assert (
            requests.post(f"{emulator.url}/api/v2/batch", json={"batch": [1]}, timeout=5).status_code == 401
        )
        stats = client.stats()
    assert (stats["operations"], stats["requests"], stats["people"]) == (101, 4, 0)


def test_stats(fresh: Client) -> None:
    """The statistics count requests, accepted and rejected operations, and stored records."""
    relationship = {"identifiers": {"object_type_id": "1", "object_id": "acme"}}
    fresh.batch(person("identify", {"id": "1"}, cio_relationships=[relationship]), person("identify", {}))
    assert fresh.stats() == {
        "requests": 1,
        "operations": 1,
        "rejected": 1,
        "people": 1,
        "objects": 1,
        "relationships": 1,
        "segments": 1,
        "activities": 0,
    }


@pytest.mark.parametrize("stop", ["terminate", "interrupt"])
def test_stops_promptly_while_requests_hang(stop: str) -> None:
    """SIGTERM and SIGINT end the process even if requests hang."""
    with EmulatorProcess(faults=True) as emulator:
        client = Client(emulator)
        client.session.post(f"{emulator.url}/_faults", json={"schedule": ["hang"]}, timeout=5)
        with pytest.raises(requests.Timeout):
            client.track("GET", "/api/v1/accounts/region", timeout=0.2)
        emulator.process.send_signal({"terminate": 15, "interrupt": 2}[stop])
        emulator.process.wait(timeout=50)  # the request hangs for 60


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The certificate of an authority, and a certificate that it issued for 127.0.0.1 with its key."""
    authority = Authority(tmp_path)
    return authority.certfile, *authority.issue(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


def test_official_client(certificates: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The client `customerio` works over TLS when REQUESTS_CA_BUNDLE names the authority."""
    authority, certfile, keyfile = certificates
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with EmulatorProcess(certfile=certfile, keyfile=keyfile) as emulator:
        assert emulator.url.startswith("https://")
        port = int(emulator.url.rpartition(":")[2])
        with CustomerIO(
            emulator.site_id, emulator.api_key, host="127.0.0.1", port=port, retries=0
        ) as official:
            official.identify("7", email="p7@example.org", plan="free")
            official.track("7", "purchase", {"price": 5})
            official.add_device("7", "token", "ios")
            official.batch([person("identify", {"id": "8"}, attributes={"city": "Rome"})])
            official.delete("7")
            with pytest.raises(CustomerIOException, match="400"):
                official.identify("9", token="x" * 1001)
        client = Client(emulator)
        assert client.customer("7") is None
        assert client.attributes("8") == {"id": "8", "city": "Rome"}


def test_async_client(certificates: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The client `async-customerio` works over TLS when SSL_CERT_FILE names the authority."""
    authority, certfile, keyfile = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))

    async def use(emulator: EmulatorProcess, port: int) -> None:
        official = AsyncCustomerIO(
            emulator.site_id, emulator.api_key, host="127.0.0.1", port=port, region=Regions.US
        )
        async with official:
            await official.identify("7", email="p7@example.org", plan="free")
            await official.track("7", "purchase", price=5)
            await official.add_to_segment(segment, ["7"])

    with EmulatorProcess(certfile=certfile, keyfile=keyfile) as emulator:
        client = Client(emulator)
        segment = client.app("/v1/segments", "POST", json={"segment": {"name": "S"}}).json()["segment"]["id"]
        asyncio.run(use(emulator, int(emulator.url.rpartition(":")[2])))
        assert client.attributes("7") == {"id": "7", "email": "p7@example.org", "plan": "free"}
        assert client.app(f"/v1/segments/{segment}/membership").json()["ids"] == ["7"]
