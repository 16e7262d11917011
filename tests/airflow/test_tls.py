"""Sources over TLS: servers that are trusted, servers that are not, and servers that refuse."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from cryptography import x509

from local.postgres import LocalPostgres
from tests.airflow.test_sync import spec
from tests.certificates import Authority
from tests.tls_in_front import TlsInFront

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.airflow.conftest import Airflow

Connect: TypeAlias = Callable[..., None]

NAME = "db.example.org"
QUERY = "SELECT 'tls' || n AS id FROM generate_series(1, 3) n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that signs the certificate of the server."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", params=["TLS of its own", "TLS in front"])
def warehouse(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: LocalPostgres,
    authority: Authority,
) -> Iterator[dict[str, Any]]:
    """Return the fields of a connection to a Postgres that requires TLS.

    The Postgres from the wheel was built without TLS. So one server is a Postgres that is installed on this
    machine, if there is one. The other is the one from the wheel behind a TLS proxy, which runs everywhere.
    """
    certificate = authority.issue(x509.DNSName(NAME))
    if request.param == "TLS in front":
        with TlsInFront(postgres.port, certificate) as front:
            yield {**postgres.airflow_connection(), "port": front.port}
    else:
        folder = tmp_path_factory.mktemp("postgres")
        with LocalPostgres(folder, programs=installed_programs(), certificate=certificate) as server:
            yield server.airflow_connection()


def installed_programs() -> Path:
    """Return the folder of the installed Postgres: on the path, or where Debian installs it."""
    folders = [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    found = shutil.which("postgres", path=os.pathsep.join(folders))
    return (
        Path(found).resolve().parent
        if found
        else pytest.skip("no Postgres is installed: install the package postgresql")
    )


@pytest.fixture
def connect(connected: Airflow, warehouse: dict[str, Any], authority: Authority, tmp_path: Path) -> Connect:
    """Return a function that defines the connection of the source. Its arguments break the connection."""
    roots = {
        "authority": authority.certfile,
        "another authority": Authority(tmp_path).certfile,
        "expired": authority.expired(),
        "missing": tmp_path / "missing.pem",
        "empty": tmp_path / "empty.pem",
    }
    roots["empty"].touch()

    def define(*, host: str = NAME, sslmode: str = "verify-full", root: str = "authority") -> None:
        # hostaddr is the address of the host, so that no name server is needed.
        extra = {"hostaddr": "127.0.0.1", "sslmode": sslmode}
        if sslmode.startswith("verify"):
            extra["sslrootcert"] = str(roots[root])
        connected.connect("warehouse", **{**warehouse, "host": host, "extra": extra})

    return define


@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
def test_rows_are_imported_over_tls(connected: Airflow, connect: Connect, sslmode: str) -> None:
    """`sslmode` and `sslrootcert` are extras of the Postgres connection. The server requires TLS."""
    connect(sslmode=sslmode)
    connected.write("syncs/tls.yaml", spec("tls", QUERY))
    summary = connected.summary(connected.run("customerio.production.tls"))
    assert (summary["status"], summary["queries"]["people"]["imported"]) == ("Completed", 3)


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"root": "another authority"}, ("certificate verify failed", "must come from an authority")),
        ({"root": "expired"}, ("certificate verify failed", "neither may have expired")),
        ({"root": "missing"}, ('missing.pem" does not exist', "Set sslrootcert to a PEM file")),
        ({"root": "empty"}, ("could not read root certificate file", "Set sslrootcert to a PEM file")),
        (
            {"host": "10.example.org"},
            (f'"{NAME}" does not match host name', "Set the connection's host to a name"),
        ),
        ({"sslmode": "disable"}, ("no pg_hba.conf entry", "set sslmode to require or verify-full")),
        ({"sslmode": "verify"}, ('invalid sslmode value: "verify"', "disable, allow, prefer, require")),
    ],
    ids=str,
)
def test_what_cannot_be_trusted_fails_at_once_and_says_why(
    connected: Airflow,
    connect: Connect,
    capfd: pytest.CaptureFixture[str],
    change: dict[str, str],
    messages: tuple[str, str],
) -> None:
    """A retry does not help. The message has libpq's reason and a remedy, and no password."""
    connect(**change)
    assert_fails_at_once(connected, capfd, messages)


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(
    connected: Airflow, postgres: LocalPostgres, capfd: pytest.CaptureFixture[str]
) -> None:
    """The password is not sent without encryption."""
    connected.connect("warehouse", **postgres.airflow_connection(), extra={"sslmode": "require"})
    assert_fails_at_once(connected, capfd, ("server does not support SSL", "Turn TLS on in the server"))


def assert_fails_at_once(
    airflow: Airflow, capfd: pytest.CaptureFixture[str], messages: tuple[str, str]
) -> None:
    """Run a sync with a retry, and check that it failed at the first try with these texts in its log."""
    airflow.write("syncs/tls.yaml", spec("tls", QUERY).replace("retries: 0", "retries: 1"))
    run = airflow.run("customerio.production.tls")
    assert (run.state, run.get_task_instances()[0].try_number) == ("failed", 1)
    assert airflow.summary(run)["status"] == "Failed"
    log = capfd.readouterr().out
    for text in ("Cannot connect to Postgres: ", *messages):
        assert text in log
    assert json.loads(os.environ["AIRFLOW_CONN_WAREHOUSE"])["password"] not in log
