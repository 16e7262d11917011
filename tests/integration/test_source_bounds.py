"""Memory and time of a run are bounded, for all rows and for all failures of the network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.engine.sources.postgres import session
from airflow_provider_cio.errors import SourceUnavailableError
from torture.interruption import Interrupted, Interruption
from torture.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Database

#: The allowed memory above an idle process, in MiB. There are three chunks: in use, waiting, being read.
MEBIBYTES = 64
#: Seconds after which a test fails that hangs.
PATIENCE = 60

MEASURE = """
import resource, sys, psycopg
from airflow_provider_cio.engine import *
from airflow_provider_cio.engine.delivery.dry_run import DryRun
def run(query):
    summary = Summary(0)
    class Nothing(Rejections):
        def add(self, rejection): pass
    source = PostgresSource(lambda: psycopg.connect(sys.argv[1]))
    run_sync(Sync(main=PeopleQuery(sql=query)), source, DryRun(), Nothing(), summary)
    return summary.rows_read
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
run("SELECT n AS id, md5(n::text) AS v FROM generate_series(1, 20000) n")
idle = peak()
print(run(sys.argv[2]), peak() - idle)
"""


@pytest.mark.parametrize(
    ("value", "since", "rows"),
    [
        ("repeat('x', 30000)", 6000, 20000),  # short rows, then long rows
        ("repeat('x', 30000)", 0, 10000),  # long rows from the start
        ("repeat('x', 300000)", 5000, 6000),  # rows that are far too long to send
        ("CASE WHEN n % 50 = 0 THEN repeat('x', 1000000) END", 0, 20000),  # some long rows
        ("convert_to(repeat('x', 20000), 'UTF8')", 6000, 12000),
        ("to_jsonb(repeat('x', 30000))", 6000, 16000),
        ("array_fill(n, ARRAY[4000])", 6000, 9000),
        ("repeat('9', 2000)::numeric", 6000, 9000),
    ],
)
def test_memory_is_bounded_when_rows_become_long(
    database: Database, value: str, since: int, rows: int
) -> None:
    """Only a few long rows are in memory at a time."""
    query = f"SELECT n AS id, CASE WHEN n > {since} THEN {value} END AS v FROM generate_series(1, {rows}) n"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, database.uri, query], check=True, capture_output=True, text=True
    )
    read, mebibytes = map(int, done.stdout.split())
    assert read == rows
    assert mebibytes <= MEBIBYTES


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    """Return a proxy in front of the database."""
    port = psycopg.conninfo.conninfo_to_dict(database.uri)["port"]
    with Proxy(int(port or 0)) as proxy:
        yield proxy


def through(database: Database, proxy: Proxy) -> Callable[[], psycopg.Connection[Any]]:
    """Return a function that connects through the proxy."""
    return lambda: psycopg.connect(database.uri, port=proxy.port)


def within(seconds: float, work: Callable[[], object]) -> BaseException | None:
    """Call a function, interrupt it as Airflow's timeout does, and return its exception."""
    return Interruption(lambda: True, seconds, patience=PATIENCE).during(work)


QUERY = "SELECT n AS id, md5(n::text) AS v FROM generate_series(1, 500000) n"


@pytest.mark.parametrize("stall_after", [0, 200, 600, 2_000, 100_000, 3_000_000])
def test_a_timeout_ends_a_run_on_a_stalled_connection(
    database: Database, proxy: Proxy, stall_after: int
) -> None:
    """The connection stalls at every stage, from the handshake to the middle of the rows."""
    proxy.stall_after(stall_after)
    source = PostgresSource(through(database, proxy))
    sync = Sync(main=PeopleQuery(sql=QUERY))
    began = time.monotonic()
    error = within(2, lambda: run_sync(sync, source, DryRun(), Rejections(), Summary(0)))
    assert isinstance(error, Interrupted)
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("stall_after", [0, 600, 2_000, 100_000])
def test_silence_ends_a_run_without_a_timeout(
    database: Database, proxy: Proxy, stall_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nothing arrives and a second connection cannot find our backend, the run fails as transient."""
    monkeypatch.setattr(session, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(session, "BACKEND_CHECK_SECONDS", 2)
    proxy.stall_after(stall_after)
    source = PostgresSource(through(database, proxy))
    error = within(
        PATIENCE,
        lambda: run_sync(Sync(main=PeopleQuery(sql=QUERY)), source, DryRun(), Rejections(), Summary(0)),
    )
    assert isinstance(error, SourceUnavailableError)
    assert "sent nothing" in str(error)


def test_a_dropped_connection_is_detected(
    database: Database, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second connection finds that the backend waits for its client, so the rows were lost on the way."""
    monkeypatch.setattr(session, "SILENCE_SECONDS", 1)
    functions = [database.connect, through(database, proxy)]

    def connect() -> psycopg.Connection[Any]:
        function = functions.pop() if len(functions) > 1 else functions[0]
        return function()

    source = PostgresSource(connect)
    proxy.stall_after(100_000)
    error = within(
        PATIENCE,
        lambda: run_sync(Sync(main=PeopleQuery(sql=QUERY)), source, DryRun(), Rejections(), Summary(0)),
    )
    assert isinstance(error, SourceUnavailableError)


def test_a_slow_query_is_not_mistaken_for_a_dropped_connection(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run waits for the first row and between rows, as long as the backend is active."""
    monkeypatch.setattr(session, "SILENCE_SECONDS", 0.3)
    summary = Summary(0)
    query = "SELECT n AS id, pg_sleep(1)::text AS v FROM generate_series(1, 3) n"
    run_sync(
        Sync(main=PeopleQuery(sql=query)), PostgresSource(database.connect), DryRun(), Rejections(), summary
    )
    assert summary.rows_imported == 3


def test_a_query_is_cancelled_when_its_run_ends(database: Database) -> None:
    """After a timeout in the middle of a long query, the server stops computing it."""
    source = PostgresSource(database.connect)
    query = "SELECT n AS id, pg_sleep(0.01)::text AS v FROM generate_series(1, 100000) n"
    error = within(
        1, lambda: run_sync(Sync(main=PeopleQuery(sql=query)), source, DryRun(), Rejections(), Summary(0))
    )
    assert isinstance(error, Interrupted)
    deadline = time.monotonic() + PATIENCE
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.01)%'"
        " AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    while database.connection.execute(running.encode()).fetchone() != (0,):
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def test_stopping_in_a_signal_handler_does_not_block(database: Database, proxy: Proxy) -> None:
    """A task that receives SIGTERM cancels its query, also over a stalled connection."""
    proxy.stall_after(100_000)
    source = PostgresSource(through(database, proxy))
    stopped = threading.Event()

    def stop(*_: object) -> None:
        source.stop()
        stopped.set()
        raise Interrupted

    before = signal.signal(signal.SIGTERM, stop)
    timer = threading.Timer(1, os.kill, [os.getpid(), signal.SIGTERM])
    timer.start()
    try:
        with pytest.raises(Interrupted):
            run_sync(Sync(main=PeopleQuery(sql=QUERY)), source, DryRun(), Rejections(), Summary(0))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.is_set()


def test_keepalive_is_on_except_where_the_connection_sets_it(database: Database) -> None:
    """TCP detects a dead server within minutes. Settings of the connection are not changed."""

    def options(**given: Any) -> dict[str, int]:
        opened = session.Session(lambda: psycopg.connect(database.uri, **given))
        opened.open()
        with socket.socket(fileno=os.dup(opened.connection.fileno())) as tcp:
            found = {
                "keepalive": tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                "idle": tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                "user": tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            }
        opened.close()
        return found

    assert options() == {"keepalive": 1, "idle": 60, "user": 120_000}
    assert options(keepalives_idle=7, tcp_user_timeout=5000) == {"keepalive": 1, "idle": 7, "user": 5000}
    assert options(keepalives=0)["keepalive"] == 0
