"""The Track API client against the emulator, and against a server with other responses."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, get_args

import pytest

from airflow_provider_cio.emulator.fault_plans import Kind
from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from airflow_provider_cio.errors import (
    AddressError,
    ConfigurationError,
    CredentialsError,
    RateLimitedError,
    RefusedError,
    StoppedError,
    TooLargeError,
    UnavailableError,
)
from airflow_provider_cio.track import TrackClient
from airflow_provider_cio.track.rejected_operation import RejectedOperation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database
    from tests.integration.conftest import LocalWorkspace

KINDS = {name for names in get_args(Kind) for name in (get_args(names) or [names])}
#: Faults that end only at the timeout of a request.
SLOW = {"hang", "drip_headers", "drip_body"}

GOOD = b'{"type":"person","identifiers":{"id":"1"},"attributes":{"a":1},"action":"identify"}'
BAD = b'{"type":"person","identifiers":{"id":"2"},"attributes":{"a":"%b"},"action":"identify"}' % (
    b"x" * 1001
)


def test_the_region_of_the_workspace(workspace: LocalWorkspace) -> None:
    """The client returns the region of the workspace from the API."""
    with workspace.client() as client:
        assert client.region().region == "us"


def test_rejected_operations_are_named_by_index(workspace: LocalWorkspace) -> None:
    """A 207 rejects the operations at the given indexes and accepts the others."""
    with workspace.client() as client:
        (error,) = client.send_batch([GOOD, BAD, GOOD])
    assert (error.batch_index, error.field) == (1, "attributes.a")


def test_wrong_credentials_are_a_configuration_error(workspace: LocalWorkspace) -> None:
    """Wrong credentials fail without a retry, and the message does not contain the key."""
    client = TrackClient(site_id="x", api_key="wrong-key", base_url=workspace.emulator.url)
    with pytest.raises(CredentialsError, match="Site ID") as error:
        client.send_batch([GOOD])
    assert "wrong-key" not in str(error.value)
    assert client.requests == 1


def test_a_host_without_track_api_is_a_configuration_error(workspace: LocalWorkspace) -> None:
    """A 404 with a web page is an error of the address."""
    client = TrackClient(site_id="x", api_key="y", base_url=f"{workspace.emulator.url}/elsewhere")
    with pytest.raises(AddressError, match="404"):
        client.region()


def test_a_batch_that_is_not_json_is_refused(workspace: LocalWorkspace) -> None:
    """A batch that is not valid JSON is refused, and no operation is accepted."""
    with workspace.client() as client, pytest.raises(RefusedError):
        client.send_batch([b"{not json"])


@pytest.mark.parametrize("kind", sorted(KINDS - {"refusal"}))
def test_a_transient_fault_is_survived(
    workspace: LocalWorkspace, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any transient fault, the request is repeated until a verdict arrives."""
    monkeypatch.setattr("airflow_provider_cio.track.backoff.FIRST_BACKOFF", 0.01)
    workspace.faults(schedule=[kind, kind])
    with workspace.client(timeout=0.5 if kind in SLOW else 30) as client:
        assert client.send_batch([GOOD]) == []
        assert client.requests == 3


def test_a_request_that_hangs_is_given_up_and_repeated(workspace: LocalWorkspace) -> None:
    """A request without a response ends after the timeout and is repeated."""
    workspace.faults(schedule=[{"kind": "hang", "seconds": 20}])
    with workspace.client(timeout=0.5) as client:
        assert client.send_batch([GOOD]) == []


def test_a_429_is_followed_by_retry_after_and_half_the_rate(workspace: LocalWorkspace) -> None:
    """After a 429 the client waits for Retry-After and halves its rate."""
    workspace.faults(schedule=[{"kind": "429", "retry_after": 2}])
    with workspace.client() as client:
        start = time.monotonic()
        client.send_batch([GOOD])
        assert time.monotonic() - start >= 2
        assert client._rate_limiter.per_second < 600  # noqa: SLF001 - nothing else shows it


def test_a_web_page_is_not_a_success(workspace: LocalWorkspace) -> None:
    """A web page with status 200 is not a verdict, and the request is repeated."""
    workspace.faults(schedule=["html"])
    with workspace.client() as client:
        assert client.send_batch([GOOD]) == []
        assert client.requests == 2


@pytest.mark.parametrize(("kind", "error"), [("429", RateLimitedError), ("503", UnavailableError)])
def test_a_spent_budget_raises_the_last_error(
    workspace: LocalWorkspace, kind: str, error: type[Exception]
) -> None:
    """When `retry_for` has passed, the error of the last attempt is raised."""
    workspace.faults(rate=1, kinds=[kind])
    with workspace.client(retry_for=0.2) as client, pytest.raises(error):
        client.send_batch([GOOD])


def test_stop_ends_a_wait_at_once(workspace: LocalWorkspace) -> None:
    """A stopped client does not wait for a long Retry-After: Airflow gives a killed task five seconds."""
    workspace.faults(schedule=[{"kind": "429", "retry_after": 3600}])
    client = workspace.client()
    threading.Timer(0.5, client.stop).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        client.send_batch([GOOD])
    assert time.monotonic() - start < 60


def test_a_refused_connection_is_transient() -> None:
    """A refused connection is transient: the server may be restarting."""
    client = TrackClient(site_id="x", api_key="y", base_url="http://127.0.0.1:9", retry_for=0.1)
    with pytest.raises(UnavailableError, match="the connection was refused"):
        client.region()


class ScriptedServer(ThreadingHTTPServer):
    """A server for responses that the emulator never sends. After the scripted ones, it accepts every batch.

    Attributes:
        responses: The status, body and headers of the next responses.
        paths: The paths of the requests so far.
        connections: The number of TCP connections so far.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.responses: deque[tuple[int, bytes, dict[str, str]]] = deque()
        self.paths: list[str] = []
        self.connections = 0

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        """Add a response. A body that is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.responses.append((status, content, headers))

    def client(self) -> TrackClient:
        """Create a client of this server."""
        return TrackClient(site_id="x", api_key="y", base_url=f"http://127.0.0.1:{self.server_port}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        status, body, headers = self.server.responses.popleft() if self.server.responses else (200, b"{}", {})
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def api() -> Iterator[ScriptedServer]:
    """A server with scripted responses."""
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_errors_in_a_200_are_rejections(api: ScriptedServer) -> None:
    """Errors in the body of a 200 reject their operations."""
    error = {"batch_index": 1, "reason": "invalid", "field": "attributes.a", "message": "no"}
    api.answer(200, {"errors": [error]})
    with api.client() as client:
        assert client.send_batch([GOOD, BAD, GOOD]) == [RejectedOperation(1, "invalid", "attributes.a", "no")]


@pytest.mark.parametrize("body", [{}, {"errors": None}, {"errors": []}], ids=str)
def test_an_answer_without_errors_accepts_all(api: ScriptedServer, body: Any) -> None:
    """A 200 without errors accepts all operations, whether `errors` is missing, null or empty."""
    api.answer(200, body)
    with api.client() as client:
        assert client.send_batch([GOOD, GOOD]) == []


def test_an_error_may_leave_out_all_but_the_index(api: ScriptedServer) -> None:
    """An error with nothing but an index rejects its operation without a reason."""
    api.answer(207, {"errors": [{"batch_index": 1}]})
    with api.client() as client:
        assert client.send_batch([GOOD, BAD]) == [RejectedOperation(1, "", "", "")]


@pytest.mark.parametrize("where", [{"batch_index": 2}, {"batch_index": -1}, {}])
@pytest.mark.parametrize("status", [200, 207])
def test_an_index_that_no_operation_has_is_no_verdict(
    api: ScriptedServer, status: int, where: dict[str, int]
) -> None:
    """An error without a valid index is not a verdict, so the request is repeated."""
    api.answer(status, {"errors": [{**where, "reason": "invalid"}]})
    with api.client() as client:
        assert client.send_batch([GOOD, BAD]) == []
        assert client.requests == 2


@pytest.mark.parametrize(
    "body",
    [
        {"meta": {"error": "no"}},
        {"meta": {"errors": ["no"]}},
        {"errors": [{"reason": "invalid", "field": "batch", "message": "no"}]},
        {"errors": [{"batch_index": 0}, {"batch_index": 2}]},
    ],
    ids=str,
)
def test_a_400_that_names_no_operation_refuses_the_whole(api: ScriptedServer, body: Any) -> None:
    """A 400 without a valid index refuses the whole batch, which can be sent in smaller ones."""
    api.answer(400, body)
    with api.client() as client, pytest.raises(RefusedError) as refusal:
        client.send_batch([GOOD, BAD])
    assert not refusal.value.operations


def test_a_400_may_name_operations(api: ScriptedServer) -> None:
    """A 400 with valid indexes refuses the batch and names the rejected operations."""
    api.answer(400, {"errors": [{"batch_index": 1, "reason": "invalid", "message": "no"}]})
    with api.client() as client, pytest.raises(RefusedError) as refusal:
        client.send_batch([GOOD, BAD])
    assert refusal.value.operations == [RejectedOperation(1, "invalid", "", "no")]


def test_a_413_says_that_the_batch_is_too_large(workspace: LocalWorkspace) -> None:
    """A 413 has its own error, which means that the batch is too large."""
    with workspace.client() as client, pytest.raises(TooLargeError):
        client.send_batch([GOOD] * 6000)


@pytest.mark.parametrize("status", [408, 522, 524])
def test_a_timeout_on_their_side_is_survived(api: ScriptedServer, status: int) -> None:
    """A timeout that Customer.io or a proxy reports is not a verdict, and the request is repeated."""
    api.answer(status, b"error code")
    with api.client() as client:
        assert client.send_batch([GOOD]) == []
        assert client.requests == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_tells_of_the_region(api: ScriptedServer, status: int) -> None:
    """A redirect is not followed, and the error names the connection's region."""
    api.answer(status, Location="/elsewhere")
    with api.client() as client, pytest.raises(AddressError, match='"region" in the connection'):
        client.send_batch([GOOD])
    assert api.paths == ["/api/v2/batch"]


def test_one_connection_serves_many_requests(api: ScriptedServer) -> None:
    """Requests share one connection, also after errors."""
    api.answer(200, {})
    api.answer(207, {"errors": [{"batch_index": 0}]})
    api.answer(503)
    with api.client() as client:
        for _ in range(5):
            client.send_batch([GOOD])
    assert (len(api.paths), api.connections) == (6, 1)


def test_each_run_with_one_client_has_its_own_numbers(database: Database, workspace: LocalWorkspace) -> None:
    """The summary of a run does not count the requests and bytes of earlier runs with the same client."""
    summaries = [Summary(0), Summary(0)]
    with workspace.client() as client:
        for summary in summaries:
            people = Sync(main=PeopleQuery(sql="SELECT 'numbers' AS id, 'x' AS plan"))
            run_sync(people, PostgresSource(database.connect), client, Rejections(), summary)
    assert [summary.requests for summary in summaries] == [1, 1]
    assert summaries[0].bytes == summaries[1].bytes > 0


def test_what_customerio_says_is_for_the_report_only(
    api: ScriptedServer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Customer.io's messages can quote personal data, so neither the log nor an exception contains them."""
    caplog.set_level("DEBUG")
    sentence = "jane@example.com is not valid"
    for _ in range(60):
        api.answer(400, {"errors": [{"reason": sentence, "field": "batch", "message": sentence}]})
    people = Sync(main=PeopleQuery(sql="SELECT 'said' || n AS id FROM generate_series(1, 100) n"))
    rejections = Rejections()
    with api.client() as client, pytest.raises(ConfigurationError) as error:
        run_sync(people, PostgresSource(database.connect), client, rejections, Summary(0))
    assert {rejection.message for rejection in rejections} == {sentence}
    assert len(rejections) == 20
    assert "jane" not in str(error.value) + caplog.text
