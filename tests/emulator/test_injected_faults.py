"""Injected faults of every kind, by schedule and by chance."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3

from airflow_provider_cio.emulator.fault_responses import BODIES, DAMAGED
from airflow_provider_cio.emulator.process import EmulatorProcess
from tests.emulator.conftest import Client, person

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[Client]:
    """A client of an emulator that offers faults."""
    with EmulatorProcess(faults=True) as emulator:
        yield Client(emulator)


@pytest.fixture
def faulty(misbehaving: Client) -> Iterator[Client]:
    """The same client; the faults end after the test."""
    yield misbehaving
    control(misbehaving, "DELETE")


def control(client: Client, method: str, **plan: Any) -> dict[str, Any]:
    """Start, read or end a plan of faults."""
    answer = client.session.request(method, f"{client.emulator.url}/_faults", json=plan or None, timeout=5)
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


def send(client: Client, name: str) -> requests.Response:
    """Identify a person."""
    return client.batch(person("identify", {"id": name}))


def test_off_by_default(client: Client) -> None:
    """Without the flag, the emulator does not offer faults."""
    for method in ("GET", "POST", "DELETE"):
        answer = requests.request(method, f"{client.emulator.url}/_faults", timeout=5)
        assert answer.status_code == 404


@pytest.mark.parametrize("kind", ["429", "500", "502", "503", "504"])
def test_statuses(faulty: Client, name: str, kind: str) -> None:
    """A status replaces one request's effect, with Retry-After only if the plan has it."""
    control(faulty, "POST", schedule=[kind, {"kind": kind, "retry_after": 7}, None])
    first, second = send(faulty, name), send(faulty, name)
    assert (first.status_code, first.headers.get("Retry-After")) == (int(kind), None)
    assert (second.status_code, second.headers["Retry-After"]) == (int(kind), "7")
    assert faulty.customer(name) is None
    assert send(faulty, name).status_code == 200
    assert faulty.customer(name)


@pytest.mark.parametrize(
    ("kind", "error"), [("reset", "Connection reset by peer"), ("truncate", "IncompleteRead")]
)
def test_lost_answers(faulty: Client, name: str, kind: str, error: str) -> None:
    """A reset and a truncated response lose the response but not the effect, unless the plan changes this."""
    for applied, exists in ((False, False), (None, True)):
        control(faulty, "POST", schedule=[{"kind": kind, "applied": applied}])
        with pytest.raises(requests.RequestException, match=error):
            send(faulty, name)
        assert (faulty.customer(name) is not None) is exists


def test_status_after_applying(faulty: Client, name: str) -> None:
    """Other faults can also happen after the effect."""
    control(faulty, "POST", schedule=[{"kind": "503", "applied": True}])
    assert send(faulty, name).status_code == 503
    assert faulty.customer(name)


def test_hang(faulty: Client, name: str) -> None:
    """A hanging request gets no response until its connection closes, and does not block other requests."""
    control(faulty, "POST", schedule=[{"kind": "hang", "seconds": 60}, {"kind": "hang", "seconds": 0.2}])
    operation = {"batch": [person("identify", {"id": name})]}
    with pytest.raises(requests.Timeout):
        faulty.track("POST", "/api/v2/batch", json=operation, timeout=0.5)
    assert faulty.customer(name) is None
    with pytest.raises(requests.ConnectionError):
        send(faulty, name)


def test_page_instead_of_json(faulty: Client, name: str) -> None:
    """A web page with status 200 applies nothing."""
    control(faulty, "POST", schedule=["html"])
    answer = send(faulty, name)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert faulty.customer(name) is None


@pytest.mark.parametrize("kind", sorted({*BODIES, *DAMAGED, "html_400", "reset_before", "close"}))
def test_an_answer_that_is_not_a_verdict_applies_nothing(faulty: Client, name: str, kind: str) -> None:
    """Every damaged response reaches the client, for one request only."""
    control(faulty, "POST", schedule=[kind])
    with (
        contextlib.suppress(requests.RequestException, urllib3.exceptions.HTTPError),
        faulty.session.post(
            f"{faulty.emulator.url}/api/v2/batch",
            json={"batch": [person("identify", {"id": name})]},
            auth=faulty.emulator.auth,
            stream=True,
            timeout=30,
        ) as answer,
    ):
        answer.raw.read(200_000, decode_content=False)
    assert faulty.customer(name) is None
    assert send(faulty, name).status_code == 200
    assert faulty.customer(name)
    assert control(faulty, "GET")["counts"][kind] == 1


@pytest.mark.parametrize("kind", ["drip_headers", "drip_body"])
def test_an_answer_that_drips_has_an_end(faulty: Client, name: str, kind: str) -> None:
    """A slow response sends bytes within every read timeout, and ends after its seconds."""
    control(faulty, "POST", schedule=[{"kind": kind, "seconds": 2}])
    with contextlib.suppress(requests.RequestException):  # urllib3 takes half a header for all of it
        assert send(faulty, name).content == b""
    assert faulty.customer(name) is None
    assert control(faulty, "GET")["counts"][kind] == 1


def test_a_storm_lasts_for_its_seconds(faulty: Client, name: str) -> None:
    """Every request meets the fault until the storm is over."""
    control(faulty, "POST", storm={"kind": "429", "retry_after": "soon"}, seconds=1)
    first = send(faulty, name)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "soon")
    while (status := send(faulty, name).status_code) != 200:
        assert status == 429
    assert faulty.customer(name)


def test_by_chance(faulty: Client) -> None:
    """Faults by chance occur at about their rate, and a seed makes them repeatable."""
    plan = {"rate": 0.4, "kinds": ["429", "503"], "seed": 5}

    def statuses() -> list[int]:
        control(faulty, "POST", **plan)
        return [faulty.track("GET", "/api/v1/accounts/region").status_code for _ in range(100)]

    first = statuses()
    counts = control(faulty, "GET")["counts"]
    assert counts == {
        str(status).replace("200", "healthy"): first.count(status) for status in (200, 429, 503)
    }
    assert 20 < counts["429"] + counts["503"] < 60
    assert statuses() == first


def test_configuration(faulty: Client) -> None:
    """A plan can be read and ended, and never affects the App API; an invalid plan is refused."""
    plan = {"rate": 1.0, "kinds": ["503"], "seed": None}
    assert control(faulty, "POST", **plan)["configuration"] == plan
    assert faulty.app("/v1/workspaces").status_code == 200
    assert control(faulty, "DELETE") == {"configuration": None, "counts": {}}
    assert faulty.track("GET", "/api/v1/accounts/region").status_code == 200
    for nonsense in ({}, {"rate": 2, "kinds": ["503"]}, {"rate": 1, "kinds": []}, {"schedule": ["418"]}):
        answer = faulty.session.post(f"{faulty.emulator.url}/_faults", json=nonsense, timeout=5)
        assert answer.status_code == 400
