"""Runs of the engine from Postgres into a workspace."""

from __future__ import annotations

import gc
import random
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
import pytest
from psycopg.rows import dict_row

from airflow_provider_cio.engine import (
    PeopleQuery,
    PostgresSource,
    Rejections,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.errors import ConfigurationError, QueryError, SourceUnavailableError
from local.postgres import LocalPostgres
from local.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database, Run
    from tests.integration.conftest import LocalWorkspace

RunQuery: TypeAlias = Callable[..., "Run"]


def test_every_row_arrives_and_is_counted(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """After a run with many batches and lanes, the workspace has the values of every row."""
    database.execute(
        "CREATE TABLE t AS SELECT 'e' || n AS id, 'v' || n AS v FROM generate_series(1, 20000) n"
    )
    done = run("SELECT * FROM t", workspace.client())
    assert done.summary.status is Status.COMPLETED
    assert done.summary.as_dict()["queries"] == {"people": {"read": 20000, "imported": 20000, "failed": 0}}
    found = workspace.attributes([f"e{n}" for n in range(1, 20001)])
    assert {id_: person["v"] for id_, person in found.items()} == {f"e{n}": f"v{n}" for n in range(1, 20001)}


def test_a_query_without_rows_completes(run: RunQuery, workspace: LocalWorkspace) -> None:
    """A run without rows sends no request, and moves the last sync time."""
    summary = run("SELECT 1 AS id WHERE false", workspace.client()).summary
    assert (summary.status, summary.requests, summary.rows_read) == (Status.COMPLETED, 0, 0)
    assert summary.next_last_sync_time > 0


def test_all_rows_arrive_in_order_when_a_fifth_of_the_requests_fail(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """The last of many rows of each person wins although requests are repeated, and the counts are exact."""
    database.execute(
        "CREATE TABLE t AS SELECT n, 'p' || n % 5000 AS id, repeat('x', 50) AS filler"
        " FROM generate_series(1, 100000) n"
    )
    workspace.faults(rate=0.2, kinds=["429", "503", "reset", "truncate"], seed=7)
    client = workspace.client()
    done = run("SELECT id, n AS version, filler FROM t ORDER BY n", client)
    workspace.faults()
    assert done.summary.as_dict()["queries"] == {"people": {"read": 100000, "imported": 100000, "failed": 0}}
    assert client.requests > 20
    found = workspace.attributes([f"p{n}" for n in range(5000)])
    assert {id_: int(person["version"]) for id_, person in found.items()} == {
        f"p{n}": 95000 + n if n else 100000 for n in range(5000)
    }


def test_rejected_rows_are_reported_and_the_others_arrive(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """Rejections by us and by Customer.io have the row index and the identifier."""
    database.execute(
        "CREATE TABLE t AS SELECT 'r' || n AS id, n, 'u' || n || '@b.co' AS email, 'v' AS v"
        " FROM generate_series(1, 5000) n;"
        "UPDATE t SET v = repeat('x', 1001) WHERE n IN (1, 2500, 5000);"
        "UPDATE t SET email = 'no address' WHERE n = 77; UPDATE t SET id = NULL, email = NULL WHERE n = 78"
    )
    done = run("SELECT * FROM t ORDER BY n", workspace.client())
    assert done.summary.status is Status.SOME_ROWS_FAILED
    assert done.summary.as_dict()["queries"] == {"people": {"read": 5000, "imported": 4995, "failed": 5}}
    assert done.summary.next_last_sync_time == 0
    rejections = {
        (rejection.row_index, rejection.identifier, rejection.field) for rejection in done.rejections
    }
    assert rejections == {
        (1, "r1", "attributes.v"),
        (77, "r77", "attributes.email"),
        (78, "", "identifiers.id"),
        (2500, "r2500", "attributes.v"),
        (5000, "r5000", "attributes.v"),
    }


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1 AS id; SELECT 2 AS id", "must be one SELECT"),
        ("DELETE FROM t RETURNING id", "refused the query"),
        ("SELECT id, id FROM t", '"id" is the name of 2 columns'),
        ("SELECT nothing FROM t", "does not exist"),
        ("SELECT 1 / (n - 1) AS id FROM t", "DivisionByZero"),
        ("SELECT write() AS id", "ReadOnlySqlTransaction"),
    ],
)
def test_a_query_that_cannot_be_used_sends_nothing(
    database: Database, run: RunQuery, workspace: LocalWorkspace, query: str, message: str
) -> None:
    """The error has the reason. Nothing is sent, and the source is unchanged."""
    database.execute(
        "CREATE TABLE t AS SELECT 1 AS id, 1 AS n;"
        "CREATE FUNCTION write() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (2, 2) RETURNING id'"
    )
    client = workspace.client()
    with pytest.raises(QueryError, match=message):
        run(query, client)
    assert client.requests == 0


def test_a_connection_with_another_row_factory_works(database: Database, workspace: LocalWorkspace) -> None:
    """Connections of Airflow may return rows in another form. The engine reads tuples."""
    summary = Summary(0)
    sync = Sync(main=PeopleQuery(sql="SELECT 'dict' AS id, 1 AS n"))
    source = PostgresSource(lambda: psycopg.connect(database.uri, row_factory=dict_row))
    run_sync(sync, source, workspace.client(), Rejections(), summary)
    assert summary.queries["people"].imported == 1


def test_a_source_that_cannot_be_reached_is_transient(workspace: LocalWorkspace) -> None:
    """Another attempt may succeed after a restart of Postgres. The password is not in the message."""
    source = PostgresSource(lambda: psycopg.connect("postgresql://u:secret-word@127.0.0.1:9/x"))
    with pytest.raises(SourceUnavailableError) as error:
        run_sync(
            Sync(main=PeopleQuery(sql="SELECT 1 AS id")), source, workspace.client(), Rejections(), Summary(0)
        )
    assert "secret-word" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "secret-word"}, "Correct the login and password"),
        ({"dbname": "nowhere"}, "Correct the connection's database"),
    ],
)
def test_a_source_that_refuses_the_connection_is_a_configuration_error(
    database: Database, workspace: LocalWorkspace, change: dict[str, Any], message: str
) -> None:
    """Another attempt does not correct a wrong password. The password is not in the message."""
    source = PostgresSource(lambda: psycopg.connect(database.uri, **change))
    sync = Sync(main=PeopleQuery(sql="SELECT 1 AS id"))
    with pytest.raises(ConfigurationError, match=message) as error:
        run_sync(sync, source, workspace.client(), Rejections(), Summary(0))
    assert "secret-word" not in str(error.value)


def test_a_backend_that_is_terminated_is_transient(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """A run whose connection ends in the middle can be tried again."""
    database.execute(
        "CREATE TABLE t AS SELECT n AS id, repeat('x', 900) AS v FROM generate_series(1, 50000) n"
    )
    killer = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'FETCH%'"
    )

    def kill() -> None:
        while not database.connection.execute(killer.encode()).fetchall():
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(SourceUnavailableError):
        run("SELECT * FROM t", workspace.client())
    thread.join()


def test_no_row_is_missed_by_transactions_that_commit_late(
    database: Database, workspace: LocalWorkspace
) -> None:
    """Two hundred transactions write now() and commit in any order around ten syncs. No row is lost."""
    database.execute("CREATE TABLE t (id text PRIMARY KEY, updated_at timestamptz NOT NULL)")
    order = random.Random(11)  # noqa: S311 - a shuffle
    since = 0
    number = 0
    open_transactions: list[psycopg.Connection[Any]] = []

    def begin() -> None:
        nonlocal number
        connection = database.connect()
        connection.execute("INSERT INTO t VALUES (%s, now())", [f"late{number}"])
        open_transactions.append(connection)
        number += 1

    def sync() -> None:
        nonlocal since
        sql = f"SELECT id, updated_at FROM t WHERE extract(epoch FROM updated_at) > {since}"
        summary = Summary(since)
        with workspace.client() as client:
            run_sync(
                Sync(main=PeopleQuery(sql=sql)),
                PostgresSource(database.connect),
                client,
                Rejections(),
                summary,
            )
        since = summary.next_last_sync_time

    for _ in range(10):
        for _ in range(20):
            begin()
        order.shuffle(open_transactions)
        syncing = threading.Thread(target=sync)
        syncing.start()
        for _ in range(order.randrange(10, 20)):
            connection = open_transactions.pop()
            connection.commit()
            connection.close()
        syncing.join()
        time.sleep(0.3)
    for connection in open_transactions:
        connection.commit()
        connection.close()
    sync()
    assert len(workspace.attributes([f"late{n}" for n in range(200)])) == 200


def test_a_long_transaction_holds_the_last_sync_time_back(database: Database) -> None:
    """The next run starts at the start of the oldest transaction, less one second for rounding."""
    with database.connect() as other:
        (start,) = other.execute("SELECT extract(epoch FROM now())").fetchone() or (0,)
        time.sleep(2.5)
        with PostgresSource(database.connect).snapshot() as snapshot:
            assert snapshot.watermark.next_last_sync_time == int(start) - 1


def test_the_look_back_is_bounded(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A forgotten transaction does not make every run send everything. The log has a warning."""
    with database.connect() as other:
        other.execute("SELECT 1")
        time.sleep(2.5)
        now = time.time()
        with PostgresSource(database.connect, max_lookback=1).snapshot() as snapshot:
            assert snapshot.watermark.next_last_sync_time is not None
            assert snapshot.watermark.next_last_sync_time >= int(now) - 3
    assert "longer than max_lookback" in caplog.text


def test_a_role_that_cannot_see_others_takes_the_overlap(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """If the role cannot see other transactions, the overlap is subtracted, and the log has the GRANT."""
    role = f"{database.name}_role"
    database.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT CONNECT ON DATABASE {database.name} TO {role}"
    )
    try:
        source = PostgresSource(lambda: psycopg.connect(database.uri, user=role, password="p"))
        with source.snapshot() as snapshot:
            assert snapshot.watermark.next_last_sync_time is not None
            assert time.time() - snapshot.watermark.next_last_sync_time >= 60
        assert "GRANT pg_read_all_stats" in caplog.text
        database.execute(f"GRANT pg_read_all_stats TO {role}")
        with source.snapshot() as snapshot:
            assert snapshot.watermark.next_last_sync_time is not None
            assert time.time() - snapshot.watermark.next_last_sync_time < 60
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_all_chunks_come_from_one_snapshot(database: Database) -> None:
    """Rows that are committed while a run reads belong to the next run."""
    database.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10000) n")
    with PostgresSource(database.connect).snapshot() as snapshot, snapshot.read("SELECT * FROM t") as rows:
        chunks = iter(rows)
        first = next(chunks)
        database.execute("INSERT INTO t SELECT n FROM generate_series(10001, 20000) n")
        assert len(first) + sum(map(len, chunks)) == 10000


@pytest.mark.parametrize(
    "id_",
    [
        "O'Brien",
        'a "quoted" \\ one',
        "back\\slash\\n",
        "'' OR 1=1 --",
        "{{ x }} %s %% {}",
        "ünï 😀",
        "tab\there",
    ],
)
def test_ids_and_values_arrive_unchanged(
    database: Database, run: RunQuery, workspace: LocalWorkspace, id_: str
) -> None:
    """Quotes, backslashes, braces and percent signs have no special meaning on the way."""
    database.execute("CREATE TABLE t (id text, name text)")
    database.connection.execute("INSERT INTO t VALUES (%s, %s)", [id_, id_])
    assert run("SELECT * FROM t", workspace.client()).summary.rows_imported == 1
    assert workspace.attributes([id_])[id_]["name"] == id_


def test_an_id_may_look_like_another_identifier(run: RunQuery, workspace: LocalWorkspace) -> None:
    """The column decides: an id that looks like an address, or like Customer.io's own id, is still an id."""
    query = "SELECT * FROM (VALUES ('id@looks.co', 1), ('cio_a3000001', 2), ('1e5', 3), ('007', 4)) v (id, n)"
    assert run(query, workspace.client()).summary.rows_imported == 4
    found = workspace.attributes(["id@looks.co", "cio_a3000001", "1e5", "007"])
    assert {id_: person["n"] for id_, person in found.items()} == {
        "id@looks.co": "1",
        "cio_a3000001": "2",
        "1e5": "3",
        "007": "4",
    }
    assert not any("email" in person for person in found.values())


def test_the_number_0_is_an_id(run: RunQuery, workspace: LocalWorkspace) -> None:
    """The number 0 is an id, and only NULL is not."""
    assert run("SELECT 0 AS id, 0 AS n, false AS f", workspace.client()).summary.rows_imported == 1
    person = workspace.attributes(["0"])["0"]
    assert (person["n"], person["f"]) == ("0", "false")


def test_a_role_needs_select_on_the_tables_of_the_query_only(
    database: Database, workspace: LocalWorkspace
) -> None:
    """SELECT is enough. An error has the name of a table that the role may not read."""
    role = f"{database.name}_reader"
    database.execute(
        "CREATE TABLE t AS SELECT 'ro' || n AS id FROM generate_series(1, 3) n; CREATE TABLE private ();"
        f"CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT SELECT ON t TO {role}"
    )

    def sync(table: str) -> Summary:
        summary = Summary(0)
        source = PostgresSource(lambda: psycopg.connect(database.uri, user=role, password="p"))
        main = PeopleQuery(sql=f"SELECT * FROM {table}")
        run_sync(Sync(main=main), source, workspace.client(), Rejections(), summary)
        return summary

    try:
        assert (sync("t").status, sync("t").rows_imported) == (Status.COMPLETED, 3)
        with pytest.raises(QueryError, match="permission denied for table private"):
            sync("private")
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_query_is_run_once(database: Database, run: RunQuery, workspace: LocalWorkspace) -> None:
    """A query with a column that is read as text is planned twice and executed once."""
    database.execute("LISTEN ran")
    notify = "pg_notify('ran', clock_timestamp()::text)::text AS notified"
    run(f"SELECT 'once' AS id, '1 day'::interval AS span, {notify}", workspace.client())
    assert len(list(database.connection.notifies(timeout=1))) == 1


def test_order_and_limit_of_a_query_are_kept(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """This includes queries with a column that is read as text, which become subqueries."""
    database.execute(
        "CREATE TABLE t AS SELECT n, n * interval '1 day' AS span FROM generate_series(1, 500) n"
    )
    done = run("SELECT 'top' AS id, n, span FROM t ORDER BY n DESC LIMIT 3;", workspace.client())
    assert done.summary.rows_imported == 3
    person = workspace.attributes(["top"])["top"]
    assert (person["n"], person["span"]) == ("498", "498 days")


def test_a_source_does_not_end_a_run_that_waits_for_customerio(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """This includes a server that soon ends transactions that are idle."""
    database.execute(
        f"ALTER DATABASE {database.name} SET idle_in_transaction_session_timeout = '200ms';"
        "CREATE TABLE t AS SELECT 'w' || n AS id, repeat('x', 900) AS v FROM generate_series(1, 10000) n"
    )
    workspace.faults(schedule=[{"kind": "429", "retry_after": 1}])
    done = run("SELECT * FROM t", workspace.client(max_concurrent_requests=1))
    assert (done.summary.status, done.summary.rows_imported) == (Status.COMPLETED, 10000)


def test_a_run_restores_the_settings_of_garbage_collection(run: RunQuery, workspace: LocalWorkspace) -> None:
    """The settings are restored after a run that failed, too."""
    usual = gc.get_threshold()
    gc.set_threshold(701, 11, 12)
    try:
        run("SELECT 'gc' AS id", workspace.client())
        assert gc.get_threshold() == (701, 11, 12)
        with pytest.raises(QueryError):
            run("SELEC 1", workspace.client())
        assert gc.get_threshold() == (701, 11, 12)
    finally:
        gc.set_threshold(*usual)


class Replica(LocalPostgres):
    """A server that follows another one; read-only, as every replica is."""

    def __init__(self, folder: Path, primary: LocalPostgres) -> None:
        super().__init__(folder)
        self.password = primary.password
        self._primary = primary

    def _start(self, files: Any) -> None:
        """Begin with the other server's files instead of new ones."""

        def copy(*_: str) -> None:
            command = [files.program("pg_basebackup"), "--checkpoint=fast", "--write-recovery-conf"]
            command += ["--dbname", self._primary.uri, "--pgdata", files.cluster]
            subprocess.run(command, user=files.owner, cwd=self._data, check=True, capture_output=True)

        files.initialize = copy
        super()._start(files)


def test_on_a_replica_the_last_sync_time_is_that_of_the_last_replayed_commit(
    postgres: LocalPostgres, database: Database, workspace: LocalWorkspace, tmp_path: Path
) -> None:
    """The next last sync time is the time of the last commit on the replica, less the overlap."""
    database.execute("CREATE TABLE t AS SELECT 'replica' || n AS id FROM generate_series(1, 3) n")
    with Replica(tmp_path, postgres) as replica:
        port = replica.port

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(database.uri, port=port)

        def replayed() -> tuple[Any, ...]:
            with connect() as connection:
                seconds = "floor(extract(epoch FROM pg_last_xact_replay_timestamp()))"
                return connection.execute(f"SELECT count(*), {seconds} FROM t".encode()).fetchone() or ()

        database.execute("INSERT INTO t VALUES ('replica4')")
        wait_until(lambda: replayed()[0] == 4, what="The replica", seconds=30)
        time.sleep(2.5)
        _, before = replayed()
        summary = Summary(0)
        main = PeopleQuery(sql="SELECT id FROM t")
        source = PostgresSource(connect, overlap=500)
        run_sync(Sync(main=main), source, workspace.client(), Rejections(), summary)
        _, after = replayed()
    assert (summary.status, summary.rows_imported) == (Status.COMPLETED, 4)
    assert before <= summary.next_last_sync_time + 501 <= after
