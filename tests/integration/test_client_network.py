"""TLS, proxies and names: a wrong configuration fails at once, and an outage is repeated."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from airflow_provider_cio.engine.delivery.lanes import Lanes
from airflow_provider_cio.engine.mapping.operations import Operation
from airflow_provider_cio.errors import (
    AddressError,
    ConfigurationError,
    CredentialsError,
    StoppedError,
    UnavailableError,
)
from airflow_provider_cio.track import AppClient, TrackClient
from tests.certificates import Authority
from tests.raw_server import RawServer, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = answer(b'{"url":"https://track.customer.io","region":"us","environment_id":3}')
SECRET = "proxy-secret"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's proxies and certificate bundles from the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that issues the servers' certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


def context(authority: Authority, name: x509.GeneralName | None = None) -> ssl.SSLContext:
    """Create the TLS context of a server."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*authority.issue(name or x509.IPAddress(ipaddress.ip_address("127.0.0.1"))))
    return made


BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def replying_once(reply: bytes) -> Iterator[int]:
    """Run a server that replies with these bytes and closes the connection; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with listener.accept()[0] as connection:
                        connection.recv(65_536)
                        connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def ask(url: str, **options: Any) -> Any:
    """Request the region, and check that a configuration error is not repeated."""
    with TrackClient(site_id="s", api_key="key-12345", base_url=url, **{"retry_for": 1, **options}) as track:
        try:
            return track.region().region
        except ConfigurationError:
            assert track.requests == 1
            raise


def test_an_authority_of_ones_own_is_named_by_the_environment(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE adds an authority, as for every program that uses requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certfile))
    with RawServer(last=REGION, tls=context(authority)) as server:
        assert ask(server.url) == "us"


def test_a_certificate_that_is_not_trusted_fails_at_once(authority: Authority) -> None:
    """An untrusted certificate fails at once for both APIs, and the message names the variable to set."""
    with RawServer(last=REGION, tls=context(authority)) as server:
        with pytest.raises(ConfigurationError, match=r"unable to get local issuer.*REQUESTS_CA_BUNDLE"):
            ask(server.url)
        with (
            AppClient(api_key="k", base_url=server.url) as app,
            pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"),
        ):
            app.segments()


def test_the_message_names_what_is_wrong_with_a_certificate(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message contains OpenSSL's reason."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certfile))
    with (
        RawServer(last=REGION, tls=context(authority, x509.DNSName("other.example.org"))) as server,
        pytest.raises(ConfigurationError, match=r"certificate is not valid for '127\.0\.0\.1'"),
    ):
        ask(server.url)
    with RawServer(last=REGION, tls=context(authority)) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.expired()))
        with pytest.raises(ConfigurationError, match="certificate has expired"):
            ask(server.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path).certfile))
        with pytest.raises(ConfigurationError, match="TLS connection"):
            ask(server.url)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "binary", "unreadable"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_that_cannot_be_read_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: Authority, kind: str, variable: str
) -> None:
    """A bundle that cannot be read fails before a request is sent."""
    bundle = tmp_path / "bundle.pem"
    if kind != "missing":
        bundle.write_bytes({"text": b"certificates", "binary": bytes(range(256))}.get(kind, b""))
    if kind == "unreadable":
        bundle.unlink()
        bundle.symlink_to(bundle)
    monkeypatch.setenv(variable, str(bundle))
    with (
        RawServer(last=REGION, tls=context(authority)) as server,
        pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"),
    ):
        ask(server.url)


def test_a_port_without_tls_fails_at_once() -> None:
    """A server without TLS on its port fails at once, and the message suggests http://."""
    with replying_once(BAD_REQUEST) as port, pytest.raises(ConfigurationError, match="does not speak TLS"):
        ask(f"https://127.0.0.1:{port}")


def test_a_server_that_asks_for_a_client_certificate_is_refused(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that requires a client certificate is a configuration error, because the provider has none."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certfile))
    tls = context(authority)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.certfile)
    # TLS 1.3 refuses after the handshake, when the request is on its way: a reset may overtake the reason,
    # and only a later try has it. TLS 1.2 refuses within the handshake.
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        RawServer(last=REGION, tls=tls) as server,
        pytest.raises(ConfigurationError, match="client certificate"),
    ):
        ask(server.url)


def test_a_server_with_an_old_tls_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with an outdated TLS configuration fails at once."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certfile))
    tls = context(authority)
    tls.set_ciphers("AES128-SHA256:@SECLEVEL=0")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawServer(last=REGION, tls=tls) as server, pytest.raises(ConfigurationError, match="TLS connection"):
        ask(server.url)


def test_a_handshake_that_breaks_is_an_outage() -> None:
    """A handshake that breaks off is an outage, such as a restart of the server."""
    with replying_once(b"") as port, pytest.raises(UnavailableError, match="No response"):
        ask(f"https://127.0.0.1:{port}")


# Proxies.


def proxy(port: int, scheme: str = "http") -> str:
    """Return the URL of a proxy with user and password."""
    return f"{scheme}://user:{SECRET}@127.0.0.1:{port}"


def connect_answer(status: int) -> bytes:
    """Return a proxy's response to CONNECT."""
    return b"HTTP/1.1 %d user %s\r\nContent-Length: 0\r\n\r\n" % (status, SECRET.encode())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 501])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_refuses_fails_at_once(
    monkeypatch: pytest.MonkeyPatch, status: int, variable: str
) -> None:
    """The message names the variable with the proxy, and does not contain the password."""
    with RawServer(last=connect_answer(status)) as server:
        monkeypatch.setenv(variable, proxy(server.port))
        with pytest.raises(ConfigurationError, match=rf"{variable} .*\({status}\)") as error:
            ask("https://track.example.com")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_proxy_in_trouble_is_an_outage(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A proxy that reports an outage does not refuse the request, which is repeated."""
    with RawServer(last=connect_answer(status)) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy(server.port))
        with pytest.raises(UnavailableError) as error:
            ask("https://track.example.com")
    assert SECRET not in str(error.value)


def test_a_proxy_for_plain_http_refuses_in_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP has no CONNECT, so a proxy refuses with a 407 as the response."""
    with RawServer(last=answer(b"", status=407)) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy(server.port))
        with pytest.raises(ConfigurationError, match="HTTP_PROXY") as error:
            ask("http://track.example.com")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        *("http://", "http://:3128", "ftp://127.0.0.1:3128", "http://user:proxy-secret@", "nonsense://x"),
        *("http://127.0.0.1:port", "http://127.0.0.1:99999", "http://[::1", "http://a..b:3128"),
        *("socks5://127.0.0.1:1", "http://user:proxy-secret@host name:3128"),
    ],
)
def test_a_proxy_that_is_not_valid_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """A proxy with an invalid URL fails at once, and the message does not contain the URL."""
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as error:
        ask("https://track.example.com")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("host", "message"),
    [("127.0.0.1:9", "connection was refused"), ("no-such-host.invalid:3128", "resolved")],
)
def test_a_proxy_that_is_not_there_is_an_outage_and_named(
    monkeypatch: pytest.MonkeyPatch, host: str, message: str
) -> None:
    """The message names the proxy's host and variable."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@{host}")
    with pytest.raises(UnavailableError, match=message) as error:
        ask("https://track.example.com")
    assert f"the proxy {host} (HTTPS_PROXY)" in str(error.value)
    assert SECRET not in str(error.value)


def test_a_proxy_that_speaks_no_tls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL of a proxy without TLS begins with https:// by mistake; the message names the variable."""
    with replying_once(BAD_REQUEST) as port:
        monkeypatch.setenv("HTTPS_PROXY", proxy(port, "https"))
        with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as error:
            ask("https://track.example.com")
    assert SECRET not in str(error.value)


def test_a_slow_or_endless_proxy_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of responses also apply to the response to CONNECT."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"x" * 1000 + b"\r\n")

    for script in (endless, lambda connection: connection.recv(1)):
        with RawServer(last=script) as server:
            monkeypatch.setenv("HTTPS_PROXY", proxy(server.port))
            with pytest.raises(UnavailableError):
                ask("https://track.example.com", timeout=0.5, retry_for=0)


# Names and addresses.


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://no-such-host.invalid", "the name cannot be resolved"),
        ("http://127.0.0.1:9", "the connection was refused"),
    ],
)
def test_what_does_not_answer_is_an_outage(url: str, message: str) -> None:
    """A host that cannot be resolved or reached is an outage."""
    with pytest.raises(UnavailableError, match=message):
        ask(url, retry_for=0)


@pytest.mark.parametrize(
    "url",
    [
        *("", "track.customer.io", "ftp://track.customer.io", "//track.customer.io", "https://", "https:///"),
        *("https://user:url-secret@host", "https://url-secret@host", "https://host?url-secret=1"),
        *(
            "https://host#url-secret",
            "https://host url-secret",
            " https://host",
            "https://host\n",
            "https://h\0st",
        ),
        *("https://host:port", "https://host:0", "https://host:99999", "https://host:-1", "https://a..b"),
        *("https://[::1", "https://hóst", "https://host\\url-secret", "https://" + "a" * 300, "https://:443"),
    ],
)
def test_a_url_that_is_not_valid_is_refused_without_being_shown(url: str) -> None:
    """A URL that is not valid is refused without repeating it, because it can contain a password."""
    with pytest.raises(AddressError) as error:
        TrackClient(site_id="s", api_key="k", base_url=url)
    assert "url-secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["https://track.customer.io/", "http://127.0.0.1:80", "http://[::1]:8005", "https://h/p"]
)
def test_a_url_that_is_valid_is_accepted(url: str) -> None:
    """URLs with a port or a path, as emulators and gateways have, are valid."""
    assert TrackClient(site_id="s", api_key="k", base_url=url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "key", ["", "kéy-secret", "key-secret\n", " key-secret", "key\tsecret", "key-\0secret", "クリ"]
)
def test_a_key_that_is_not_valid_is_refused_without_being_shown(key: str) -> None:
    """A key that is not valid, such as one with a line break, is refused without repeating it."""
    for make in (
        lambda: TrackClient(site_id=key, api_key="k", base_url="https://h"),
        lambda: TrackClient(site_id="s", api_key=key, base_url="https://h"),
        lambda: AppClient(api_key=key, base_url="https://h"),
    ):
        with pytest.raises(CredentialsError) as error:
            make()
        assert "secret" not in str(error.value)


# Being stopped.

STOPPED = """
import signal, sys, threading
from airflow_provider_cio.errors import StoppedError
from airflow_provider_cio.track import TrackClient
client = TrackClient(site_id="s", api_key="k", base_url=sys.argv[1], retry_for=900)
signal.signal(signal.SIGTERM, lambda *_: client.stop())
print("ready", flush=True)
try:
    {wait}
except StoppedError:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize("wait", ["client.wait(600)", "client.region()"])
def test_a_signal_handler_stops_the_thread_that_it_interrupts(wait: str) -> None:
    """A signal handler can stop the client whatever its thread is doing: the handler needs no lock."""

    def silent(connection: socket.socket) -> None:
        connection.recv(1)

    with RawServer(answer(b"", status=503), last=silent) as server:
        for _ in range(5):
            process = subprocess.Popen(
                [sys.executable, "-c", STOPPED.format(wait=wait), server.url],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=60)[0] == "stopped\n"


def test_a_handler_may_interrupt_a_wait_anywhere() -> None:
    """The wait ends, whichever of its instructions the handler interrupts."""
    script = (
        "import itertools, signal, sys, threading, time\n"
        "from airflow_provider_cio.errors import StoppedError\n"
        "from airflow_provider_cio.track import TrackClient\n"
        "clients = []\n"
        "signal.signal(signal.SIGALRM, lambda *_: clients[-1].stop())\n"
        "for number in range(300):\n"
        "    clients.append(TrackClient(site_id='s', api_key='k', base_url='http://127.0.0.1:9'))\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.0001 + number % 20 / 10000)\n"
        "    try:\n"
        "        while True:\n"
        "            clients[-1].wait(0.0001)\n"
        "    except StoppedError:\n"
        "        pass\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_stop_ends_a_request_that_is_running() -> None:
    """Stopping the client ends a running request."""
    arrived = threading.Event()

    def silent(connection: socket.socket) -> None:
        arrived.set()
        connection.recv(1)

    with RawServer(last=silent) as server:
        track = TrackClient(site_id="s", api_key="k", base_url=server.url)

        def stop() -> None:
            arrived.wait()
            track.stop()

        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(StoppedError):
            track.region()


def test_stop_ends_a_delivery_that_waits_for_verdicts() -> None:
    """Requests in flight do not delay a stopped delivery: a killed task has five seconds for its summary."""
    arrived = threading.Event()

    def silent(connection: socket.socket) -> None:
        arrived.set()
        connection.recv(1)

    with RawServer(last=silent) as server:
        track = TrackClient(site_id="s", api_key="k", base_url=server.url)

        def stop() -> None:
            arrived.wait()
            track.stop()

        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(StoppedError), Lanes(track, lambda _: None) as lanes:
            lanes.send([Operation(number, str(number), b"{}") for number in range(1, 100)])
