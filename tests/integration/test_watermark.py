"""The next last sync time is never later than the time that a transaction in flight stamps on its rows."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_cio.engine import (
    PeopleQuery,
    PostgresSource,
    Rejections,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from local.postgres import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.conftest import Database

#: Seconds to wait. Longer than the up to two seconds by which the last sync time is rounded down.
SECONDS = 2.5


@pytest.fixture(scope="module")
def preparing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """Return a server that allows prepared transactions."""
    with LocalPostgres(
        tmp_path_factory.mktemp("postgres"), settings={"max_prepared_transactions": "10"}
    ) as server:
        yield server


def read_watermark(
    connect: Callable[[], psycopg.Connection[Any]], stored: int = 0, **options: Any
) -> tuple[int, str]:
    """Open a snapshot, and return the next last sync time and the warnings."""
    with PostgresSource(connect, **options).snapshot(stored) as snapshot:
        assert snapshot.watermark.next_last_sync_time is not None
        return snapshot.watermark.next_last_sync_time, "\n".join(snapshot.watermark.warnings)


def begin(database: Database, *statements: str, **parameters: Any) -> tuple[psycopg.Connection[Any], int]:
    """Begin a transaction, and return its connection and the second in which it began."""
    connection = psycopg.connect(database.uri, **parameters)
    for statement in statements:
        connection.execute(statement.encode())
    (began,) = connection.execute("SELECT floor(extract(epoch FROM now()))::bigint").fetchone() or (0,)
    return connection, began


@pytest.mark.parametrize(
    "statements",
    [
        ["SELECT 1"],
        ["INSERT INTO t VALUES (1)"],
        ["SAVEPOINT a", "INSERT INTO t VALUES (1)", "ROLLBACK TO a"],
        ["SET LOCAL lock_timeout = 1"],
        ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT 1"],
        ["SELECT txid_current()"],
    ],
)
def test_any_transaction_in_flight_sets_the_time_back(database: Database, statements: list[str]) -> None:
    """Each of them can still write, and stamps its rows with the time of its start."""
    database.execute("CREATE TABLE t (n int)")
    connection, began = begin(database, *statements)
    time.sleep(SECONDS)
    found, warnings = read_watermark(database.connect)
    connection.close()
    assert (found, warnings) == (began - 1, "")


@pytest.mark.parametrize(
    "statements",
    [
        ["SET LOCAL track_activities = off", "INSERT INTO t VALUES (1)"],
        # The start stays hidden when tracking is on again.
        ["SET LOCAL track_activities = off", "SELECT 1", "SET LOCAL track_activities = on"],
    ],
)
def test_the_overlap_is_subtracted_for_a_session_that_is_not_tracked(
    database: Database, statements: list[str]
) -> None:
    """The start of its transaction is hidden. The warning has the statement that shows it."""
    database.execute("CREATE TABLE t (n int)")
    connection, _ = begin(database, *statements)
    now = time.time()
    found, warnings = read_watermark(database.connect)
    connection.close()
    assert now - 63 <= found <= time.time() - 61
    assert "SET track_activities = on" in warnings


@pytest.mark.parametrize(
    "statement",
    [
        # It has a snapshot, and no transaction id before it writes its first row.
        "WITH waits AS MATERIALIZED (SELECT pg_sleep(30)) INSERT INTO t SELECT 1 FROM waits",
        "LOCK TABLE t IN SHARE MODE",  # has neither
    ],
)
def test_the_start_of_a_query_is_not_mistaken_for_the_start_of_an_untracked_transaction(
    database: Database, statement: str
) -> None:
    """A transaction that began untracked stamps its rows with a time before its current query."""
    database.execute("CREATE TABLE t (n int)")
    connection, _ = begin(
        database, "SET LOCAL track_activities = off", "SELECT 1", "SET track_activities = on"
    )
    with psycopg.connect(database.uri) as holder, ThreadPoolExecutor(1) as thread:
        holder.execute(b"LOCK TABLE t IN ROW EXCLUSIVE MODE")
        working = thread.submit(connection.execute, statement.encode())
        waits = "SELECT wait_event IN ('PgSleep', 'relation') FROM pg_stat_activity WHERE pid = %s"
        while database.connection.execute(waits.encode(), [connection.info.backend_pid]).fetchone() != (
            True,
        ):
            time.sleep(0.05)
        found, warnings = read_watermark(database.connect)
        connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            working.result()
    connection.close()
    assert found <= time.time() - 61
    assert "track_activities" in warnings


def test_a_walsender_does_not_set_the_time_back(tmp_path: Path) -> None:
    """It is active as long as a subscriber is connected, and it does not write."""
    with (
        LocalPostgres(tmp_path, settings={"wal_level": "logical"}) as server,
        server.connect() as connection,
        psycopg.connect(server.uri, replication="database", autocommit=True) as subscriber,
    ):
        connection.execute(b"CREATE PUBLICATION changes FOR ALL TABLES")
        connection.execute(b"SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')")
        began = subscriber.pgconn.exec_(
            b"START_REPLICATION SLOT subscriber LOGICAL 0/0 (proto_version '1', publication_names 'changes')"
        )
        assert began.status == psycopg.pq.ExecStatus.COPY_BOTH
        state = b"SELECT state FROM pg_stat_activity WHERE backend_type = 'walsender'"
        assert connection.execute(state).fetchone() == ("active",)
        time.sleep(SECONDS)
        now = time.time()
        found, warnings = read_watermark(server.connect)
        subscriber.pgconn.finish()
    assert found >= int(now) - 1
    assert not warnings


def test_the_overlap_is_subtracted_for_a_role_that_is_not_tracked(database: Database) -> None:
    """This includes an idle session, because its next transaction would be hidden."""
    role = f"{database.name}_role"
    database.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p'; ALTER ROLE {role} SET track_activities = off")
    try:
        connection, _ = begin(database, user=role, password="p")
        found, warnings = read_watermark(database.connect)
        connection.close()
        assert found <= time.time() - 61
        assert "track_activities" in warnings
    finally:
        database.execute(f"DROP ROLE {role}")


def test_an_explicit_overlap_is_always_subtracted_once(database: Database) -> None:
    """It is subtracted after the bound of max_lookback, because it covers the clocks of applications."""
    now = time.time()
    found, _ = read_watermark(database.connect, overlap=500)
    assert now - 503 <= found <= time.time() - 501
    connection, began = begin(database, "SELECT 1")
    time.sleep(SECONDS)
    found, _ = read_watermark(database.connect, overlap=500)
    assert found == began - 1 - 500
    now = time.time()
    found, warnings = read_watermark(database.connect, overlap=500, max_lookback=1)
    connection.close()
    assert now - 504 <= found <= time.time() - 501
    assert "longer than max_lookback" in warnings
    assert read_watermark(database.connect, overlap=0)[0] >= now - 3


@pytest.fixture
def prepared(
    preparing: LocalPostgres,
) -> Iterator[Callable[[], AbstractContextManager[psycopg.Connection[Any]]]]:
    """Return a function that connects to a server with a prepared transaction."""
    with psycopg.connect(preparing.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (n int)")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("PREPARE TRANSACTION 'one'")
        yield lambda: psycopg.connect(preparing.uri)
        connection.execute("ROLLBACK PREPARED 'one'")


def test_while_a_transaction_is_prepared_the_last_sync_time_stays(prepared: Any) -> None:
    """The start of the transaction is hidden. The stored time is earlier, or was already set back for it."""
    stored = int(time.time()) - 100
    found, warnings = read_watermark(prepared, stored)
    assert found == stored
    assert "pg_prepared_xacts" in warnings
    assert read_watermark(prepared, stored, overlap=30)[0] == stored  # it never goes back


def test_a_first_run_subtracts_the_overlap_from_the_time_of_the_prepare(
    prepared: Any,
) -> None:
    """There is no stored time yet, and the overlap is an estimate of how long the transaction took."""
    now = time.time()
    assert now - 80 <= read_watermark(prepared)[0] <= now - 60
    assert now - 520 <= read_watermark(prepared, overlap=500)[0] <= now - 500


def test_an_old_prepared_transaction_sets_the_time_back_by_max_lookback(prepared: Any) -> None:
    """A warning names the rows that can be missed."""
    now = time.time()
    found, warnings = read_watermark(prepared, int(now) - 100_000, max_lookback=50)
    assert now - 53 <= found <= time.time() - 50
    assert "rows that they commit later can be missed" in warnings


def test_a_full_refresh_keeps_the_stored_time_while_a_transaction_is_prepared(prepared: Any) -> None:
    """The queries use 0, but the stored time neither becomes 0 nor advances."""
    stored = int(time.time()) - 100
    summary = Summary(0, stored)
    run_sync(
        Sync(main=PeopleQuery(sql="SELECT 1 AS id")),
        PostgresSource(prepared),
        DryRun(),
        Rejections(),
        summary,
    )
    assert (summary.status, summary.next_last_sync_time) == (Status.COMPLETED, stored)
    assert "pg_prepared_xacts" in str(summary.as_dict()["warnings"])


CLOCKS = {
    "has replayed nothing": "RETURN NULL;",
    "does not have the function": "RAISE EXCEPTION 'not supported here' USING ERRCODE = '0A000';",
    "does not allow the function": "RAISE EXCEPTION 'not for you' USING ERRCODE = '42501';",
}


@pytest.mark.parametrize("body", CLOCKS.values(), ids=CLOCKS)
@pytest.mark.parametrize("stored", [0, 1_700_000_000])
def test_the_stored_time_stays_if_the_clock_of_the_source_is_unknown(
    database: Database, body: str, stored: int
) -> None:
    """This includes a full refresh, whose queries use 0. The run itself is Completed."""
    database.execute(
        "CREATE SCHEMA fake;"
        "CREATE FUNCTION fake.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true';"
        "CREATE FUNCTION fake.pg_last_xact_replay_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS"
        f" $$ BEGIN {body} END $$; ALTER DATABASE {database.name} SET search_path = fake, pg_catalog, public"
    )
    summary = Summary(0, stored)
    run_sync(
        Sync(main=PeopleQuery(sql="SELECT 1 AS id")),
        PostgresSource(database.connect),
        DryRun(),
        Rejections(),
        summary,
    )
    assert (summary.status, summary.next_last_sync_time) == (Status.COMPLETED, stored)
    assert any("clock of the source is unknown" in warning for warning in summary.warnings)


def test_a_logical_subscriber_causes_a_warning(database: Database) -> None:
    """Its rows have times of the publisher, whose transactions are hidden."""
    database.execute(
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)"
    )
    database.execute("UPDATE pg_subscription SET subenabled = true")
    try:
        found, warnings = read_watermark(database.connect)
        assert found <= time.time() - 61
        assert re.search("logical subscriber.*Set overlap", warnings)
    finally:
        database.execute("ALTER SUBSCRIPTION s DISABLE; DROP SUBSCRIPTION s")
