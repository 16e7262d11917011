"""Memory and time of a run have bounds, whatever the rows are and the network does."""

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

#: What may be taken above an idle process, in MiB. A chunk that is used, one that waits and one that is read.
MEBIBYTES = 64
#: A test that meets a hang fails after this.
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
        ("repeat('x', 30000)", 6000, 20000),  # short rows, then long ones
        ("repeat('x', 30000)", 0, 10000),  # long from the first row on
        ("repeat('x', 300000)", 5000, 6000),  # much too long
        ("CASE WHEN n % 50 = 0 THEN repeat('x', 1000000) END", 0, 20000),  # now and then
        ("convert_to(repeat('x', 20000), 'UTF8')", 6000, 12000),
        ("to_jsonb(repeat('x', 30000))", 6000, 16000),
        ("array_fill(n, ARRAY[4000])", 6000, 9000),
        ("repeat('9', 2000)::numeric", 6000, 9000),
    ],
)
def test_memory_is_bounded_whatever_the_rows_before_were(
    database: Database, value: str, since: int, rows: int
) -> None:
    """Rows that become long take no more memory than short ones, but for a few of them."""
    query = f"SELECT n AS id, CASE WHEN n > {since} THEN {value} END AS v FROM generate_series(1, {rows}) n"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, database.uri, query], check=True, capture_output=True, text=True
    )
    read, mebibytes = map(int, done.stdout.split())
    assert read == rows
    assert mebibytes <= MEBIBYTES


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    """Give a proxy before the test's database."""
    port = psycopg.conninfo.conninfo_to_dict(database.uri)["port"]
    with Proxy(int(port or 0)) as proxy:
        yield proxy


def through(database: Database, proxy: Proxy) -> Callable[[], psycopg.Connection[Any]]:
    """Give a function that connects through the proxy."""
    return lambda: psycopg.connect(database.uri, port=proxy.port)


def within(seconds: float, work: Callable[[], object]) -> BaseException | None:
    """Do something in the main thread, interrupt it as Airflow's timeout does, and give what it raised."""
    return Interruption(lambda: True, seconds, patience=PATIENCE).during(work)


QUERY = "SELECT n AS id, md5(n::text) AS v FROM generate_series(1, 500000) n"


@pytest.mark.parametrize("stall_after", [0, 200, 600, 2_000, 100_000, 3_000_000])
def test_a_timeout_ends_a_run_whatever_the_network_does(
    database: Database, proxy: Proxy, stall_after: int
) -> None:
    """A connection that stalls, at the greeting or in the middle of the rows, does not keep it."""
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
    """When nothing comes and a second connection does not find our backend at work, the run is transient."""
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


def test_a_connection_that_was_dropped_on_the_way_is_found_out(
    database: Database, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second connection that works sees that the backend waits for a client: the rows were lost between."""
    monkeypatch.setattr(session, "SILENCE_SECONDS", 1)
    ways = [database.connect, through(database, proxy)]

    def connect() -> psycopg.Connection[Any]:
        way = ways.pop() if len(ways) > 1 else ways[0]
        return way()

    source = PostgresSource(connect)
    proxy.stall_after(100_000)
    error = within(
        PATIENCE,
        lambda: run_sync(Sync(main=PeopleQuery(sql=QUERY)), source, DryRun(), Rejections(), Summary(0)),
    )
    assert isinstance(error, SourceUnavailableError)


def test_a_query_that_computes_for_long_is_not_silence(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the backend is at work for us, a run waits, before the first row and between rows."""
    monkeypatch.setattr(session, "SILENCE_SECONDS", 0.3)
    summary = Summary(0)
    query = "SELECT n AS id, pg_sleep(1)::text AS v FROM generate_series(1, 3) n"
    run_sync(
        Sync(main=PeopleQuery(sql=query)), PostgresSource(database.connect), DryRun(), Rejections(), summary
    )
    assert summary.rows_imported == 3


def test_a_backend_does_not_go_on_for_a_run_that_ended(database: Database) -> None:
    """A timeout in the middle of a long query cancels it at the server."""
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
    """A task that is told to end cancels its query, also when nothing gets through any more."""
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


def test_keepalive_is_on_unless_the_connection_says_otherwise(database: Database) -> None:
    """TCP finds a dead server in minutes; what the connection gives is left alone."""

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
