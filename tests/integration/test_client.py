"""The Track client against a workspace that answers in every way."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.errors import (
    AddressError,
    CredentialsError,
    RateLimitedError,
    RefusedError,
    StoppedError,
    UnavailableError,
    VerdictError,
)
from airflow_provider_cio.track import TrackClient

if TYPE_CHECKING:
    from tests.integration.conftest import LocalWorkspace

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


@pytest.mark.parametrize("kind", ["429", "500", "503", "reset", "truncate"])
def test_a_transient_fault_is_survived(workspace: LocalWorkspace, kind: str) -> None:
    """The request is repeated until a verdict comes."""
    workspace.faults(schedule=[kind, kind])
    with workspace.client() as client:
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
        assert client._pace.per_second < 600  # noqa: SLF001 - nothing else shows it


def test_a_page_instead_of_an_answer_is_no_success(workspace: LocalWorkspace) -> None:
    """HTML with status 200 says nothing about the operations."""
    workspace.faults(schedule=["html"])
    with workspace.client() as client, pytest.raises(VerdictError):
        client.send_batch([GOOD])


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
    assert time.monotonic() - start < 3


def test_nobody_there_is_transient() -> None:
    """A refused connection may be a restart."""
    client = TrackClient(site_id="x", api_key="y", base_url="http://127.0.0.1:9", retry_for=0.1)
    with pytest.raises(UnavailableError, match="ConnectionError"):
        client.region()
