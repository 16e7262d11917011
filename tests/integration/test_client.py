"""The Track client against a workspace that answers in every way."""

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
#: RowProblems that end with the time of a request only.
SLOW = {"hang", "drip_headers", "drip_body"}

GOOD = b'{"type":"person","identifiers":{"id":"1"},"attributes":{"a":1},"action":"identify"}'
BAD = b'{"type":"person","identifiers":{"id":"2"},"attributes":{"a":"%b"},"action":"identify"}' % (
    b"x" * 1001
)


def test_the_region_is_the_workspaces(workspace: LocalWorkspace) -> None:
    """The credentials' region is asked of the API."""
    with workspace.client() as client:
        assert client.region().region == "us"


def test_rejected_operations_are_named_by_index(workspace: LocalWorkspace) -> None:
    """A 207 is a verdict on each operation."""
    with workspace.client() as client:
        (error,) = client.send_batch([GOOD, BAD, GOOD])
    assert (error.batch_index, error.field) == (1, "attributes.a")


def test_wrong_credentials_are_a_configuration_error(workspace: LocalWorkspace) -> None:
    """No retry, and no key in the message."""
    client = TrackClient(site_id="x", api_key="wrong-key", base_url=workspace.emulator.url)
    with pytest.raises(CredentialsError, match="Site ID") as error:
        client.send_batch([GOOD])
    assert "wrong-key" not in str(error.value)
    assert client.requests == 1


def test_a_host_without_track_api_is_a_configuration_error(workspace: LocalWorkspace) -> None:
    """An HTML page with status 404 says that the address is wrong."""
    client = TrackClient(site_id="x", api_key="y", base_url=f"{workspace.emulator.url}/elsewhere")
    with pytest.raises(AddressError, match="404"):
        client.region()


def test_a_batch_that_is_no_batch_is_refused(workspace: LocalWorkspace) -> None:
    """A 400 accepts nothing, and says so by an error."""
    with workspace.client() as client, pytest.raises(RefusedError):
        client.send_batch([b"{not json"])


@pytest.mark.parametrize("kind", sorted(KINDS - {"refusal"}))
def test_a_transient_fault_is_survived(
    workspace: LocalWorkspace, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is repeated until a verdict comes, whatever the fault."""
    monkeypatch.setattr("airflow_provider_cio.track.backoff.FIRST_BACKOFF", 0.01)
    workspace.faults(schedule=[kind, kind])
    with workspace.client(timeout=0.5 if kind in SLOW else 30) as client:
        assert client.send_batch([GOOD]) == []
        assert client.requests == 3


def test_a_request_that_hangs_is_given_up_and_repeated(workspace: LocalWorkspace) -> None:
    """A silent server costs the timeout, not the run."""
    workspace.faults(schedule=[{"kind": "hang", "seconds": 20}])
    with workspace.client(timeout=0.5) as client:
        assert client.send_batch([GOOD]) == []


def test_retry_after_is_obeyed_and_the_pace_halved(workspace: LocalWorkspace) -> None:
    """Customer.io knows best how long to wait."""
    workspace.faults(schedule=[{"kind": "429", "retry_after": 2}])
    with workspace.client() as client:
        start = time.monotonic()
        client.send_batch([GOOD])
        assert time.monotonic() - start >= 2
        assert client._rate_limiter.per_second < 600  # noqa: SLF001 - nothing else shows it


def test_a_page_instead_of_an_answer_is_no_success(workspace: LocalWorkspace) -> None:
    """HTML with status 200 says nothing about the operations."""
    workspace.faults(schedule=["html"])
    with workspace.client() as client:
        assert client.send_batch([GOOD]) == []
        assert client.requests == 2


@pytest.mark.parametrize(("kind", "error"), [("429", RateLimitedError), ("503", UnavailableError)])
def test_a_spent_budget_raises_the_last_error(
    workspace: LocalWorkspace, kind: str, error: type[Exception]
) -> None:
    """What the task's retries will hear of is why the last attempt failed."""
    workspace.faults(rate=1, kinds=[kind])
    with workspace.client(retry_for=0.2) as client, pytest.raises(error):
        client.send_batch([GOOD])


def test_stop_ends_a_wait_at_once(workspace: LocalWorkspace) -> None:
    """A killed task has five seconds; a Retry-After of an hour must not stand in its way."""
    workspace.faults(schedule=[{"kind": "429", "retry_after": 3600}])
    client = workspace.client()
    threading.Timer(0.5, client.stop).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        client.send_batch([GOOD])
    assert time.monotonic() - start < 60


def test_nobody_there_is_transient() -> None:
    """A refused connection may be a restart."""
    client = TrackClient(site_id="x", api_key="y", base_url="http://127.0.0.1:9", retry_for=0.1)
    with pytest.raises(UnavailableError, match="the connection was refused"):
        client.region()


class Answering(ThreadingHTTPServer):
    """A server for answers that the emulator never gives; after those it was told, all is well.

    Attributes:
        answers: Status, body and headers of those to come.
        paths: What was asked for.
        connections: How many TCP connections there were.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: deque[tuple[int, bytes, dict[str, str]]] = deque()
        self.paths: list[str] = []
        self.connections = 0

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        """Give this answer next; a body that is no bytes becomes JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, content, headers))

    def client(self) -> TrackClient:
        """Make a client of it."""
        return TrackClient(site_id="x", api_key="y", base_url=f"http://127.0.0.1:{self.server_port}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        status, body, headers = self.server.answers.popleft() if self.server.answers else (200, b"{}", {})
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Answering]:
    """Give a server that answers as it is told."""
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_errors_in_a_200_are_rejections(api: Answering) -> None:
    """The status says success; the body has the last word."""
    error = {"batch_index": 1, "reason": "invalid", "field": "attributes.a", "message": "no"}
    api.answer(200, {"errors": [error]})
    with api.client() as client:
        assert client.send_batch([GOOD, BAD, GOOD]) == [RejectedOperation(1, "invalid", "attributes.a", "no")]


@pytest.mark.parametrize("body", [{}, {"errors": None}, {"errors": []}], ids=str)
def test_an_answer_without_errors_accepts_all(api: Answering, body: Any) -> None:
    """However it says so."""
    api.answer(200, body)
    with api.client() as client:
        assert client.send_batch([GOOD, GOOD]) == []


def test_an_error_may_leave_out_all_but_the_index(api: Answering) -> None:
    """The row is rejected all the same, without a reason."""
    api.answer(207, {"errors": [{"batch_index": 1}]})
    with api.client() as client:
        assert client.send_batch([GOOD, BAD]) == [RejectedOperation(1, "", "", "")]


@pytest.mark.parametrize("where", [{"batch_index": 2}, {"batch_index": -1}, {}])
@pytest.mark.parametrize("status", [200, 207])
def test_an_index_that_no_operation_has_is_no_verdict(
    api: Answering, status: int, where: dict[str, int]
) -> None:
    """Nobody knows which row is meant, so none counts as imported."""
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
def test_a_400_that_names_no_operation_refuses_the_whole(api: Answering, body: Any) -> None:
    """Whatever it says instead, the batch can be tried in smaller ones."""
    api.answer(400, body)
    with api.client() as client, pytest.raises(RefusedError) as refusal:
        client.send_batch([GOOD, BAD])
    assert not refusal.value.operations


def test_a_400_may_name_operations(api: Answering) -> None:
    """Those are at fault; the others are not accepted by that."""
    api.answer(400, {"errors": [{"batch_index": 1, "reason": "invalid", "message": "no"}]})
    with api.client() as client, pytest.raises(RefusedError) as refusal:
        client.send_batch([GOOD, BAD])
    assert refusal.value.operations == [RejectedOperation(1, "invalid", "", "no")]


def test_a_413_says_that_the_batch_is_too_large(workspace: LocalWorkspace) -> None:
    """It is told from a 400, which has other reasons."""
    with workspace.client() as client, pytest.raises(TooLargeError):
        client.send_batch([GOOD] * 6000)


@pytest.mark.parametrize("status", [408, 522, 524])
def test_a_timeout_on_their_side_is_survived(api: Answering, status: int) -> None:
    """What a proxy in front of Customer.io answers is no verdict; the request is repeated."""
    api.answer(status, b"error code")
    with api.client() as client:
        assert client.send_batch([GOOD]) == []
        assert client.requests == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_tells_of_the_region(api: Answering, status: int) -> None:
    """Following would lose the body or the credentials; a person has to set the region."""
    api.answer(status, Location="/elsewhere")
    with api.client() as client, pytest.raises(AddressError, match='"region" in the connection'):
        client.send_batch([GOOD])
    assert api.paths == ["/api/v2/batch"]


def test_one_connection_serves_many_requests(api: Answering) -> None:
    """A new one for each, with its handshakes, would cost more than the request; errors do not end it."""
    api.answer(200, {})
    api.answer(207, {"errors": [{"batch_index": 0}]})
    api.answer(503)
    with api.client() as client:
        for _ in range(5):
            client.send_batch([GOOD])
    assert (len(api.paths), api.connections) == (6, 1)


def test_each_run_with_one_client_has_its_own_numbers(database: Database, workspace: LocalWorkspace) -> None:
    """Requests and bytes of earlier runs are not counted again."""
    summaries = [Summary(0), Summary(0)]
    with workspace.client() as client:
        for summary in summaries:
            people = Sync(main=PeopleQuery(sql="SELECT 'numbers' AS id, 'x' AS plan"))
            run_sync(people, PostgresSource(database.connect), client, Rejections(), summary)
    assert [summary.requests for summary in summaries] == [1, 1]
    assert summaries[0].bytes == summaries[1].bytes > 0


def test_what_customerio_says_is_for_the_report_only(
    api: Answering, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Its sentences can quote people's data: neither log nor exception has them."""
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
