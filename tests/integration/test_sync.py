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
    """A run over many batches and lanes leaves each row's values in the workspace."""
    database.execute(
        "CREATE TABLE t AS SELECT 'e' || n AS id, 'v' || n AS v FROM generate_series(1, 20000) n"
    )
    done = run("SELECT * FROM t", workspace.client())
    assert done.summary.status is Status.COMPLETED
    assert done.summary.as_dict()["queries"] == {"people": {"read": 20000, "imported": 20000, "failed": 0}}
    found = workspace.attributes([f"e{n}" for n in range(1, 20001)])
    assert {id_: person["v"] for id_, person in found.items()} == {f"e{n}": f"v{n}" for n in range(1, 20001)}


def test_a_query_without_rows_completes(run: RunQuery, workspace: LocalWorkspace) -> None:
    """Nothing changed: no request, and the last sync time moves."""
    summary = run("SELECT 1 AS id WHERE false", workspace.client()).summary
    assert (summary.status, summary.requests, summary.rows_read) == (Status.COMPLETED, 0, 0)
    assert summary.next_last_sync_time > 0


def test_with_a_fifth_of_the_answers_faulty_all_rows_arrive_in_order(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """Each person has many rows; the last one wins although requests are repeated, and counts are exact."""
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


def test_rows_that_customerio_rejects_are_named_and_the_others_arrive(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """Both kinds of refusal, ours and Customer.io's, carry the row's number and identifier."""
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
    """Postgres's or our own reason is told; nothing reached the workspace, and the source is unchanged."""
    database.execute(
        "CREATE TABLE t AS SELECT 1 AS id, 1 AS n;"
        "CREATE FUNCTION write() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (2, 2) RETURNING id'"
    )
    client = workspace.client()
    with pytest.raises(QueryError, match=message):
        run(query, client)
    assert client.requests == 0


def test_a_connection_that_makes_dicts_of_rows_works(database: Database, workspace: LocalWorkspace) -> None:
    """Airflow's Postgres connections may choose another form of rows; the engine reads tuples."""
    summary = Summary(0)
    sync = Sync(main=PeopleQuery(sql="SELECT 'dict' AS id, 1 AS n"))
    source = PostgresSource(lambda: psycopg.connect(database.uri, row_factory=dict_row))
    run_sync(sync, source, workspace.client(), Rejections(), summary)
    assert summary.queries["people"].imported == 1


def test_a_source_that_is_not_there_is_transient(workspace: LocalWorkspace) -> None:
    """A restart of Postgres is worth another try; its password is not in the message."""
    source = PostgresSource(lambda: psycopg.connect("postgresql://u:secret-word@127.0.0.1:9/x"))
    with pytest.raises(SourceUnavailableError) as error:
        run_sync(
            Sync(main=PeopleQuery(sql="SELECT 1 AS id")), source, workspace.client(), Rejections(), Summary(0)
        )
    assert "secret-word" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "secret-word"}, "Correct the login and password"),
        ({"dbname": "nowhere"}, "Correct the connection's database"),
    ],
)
def test_a_source_that_knows_us_not_is_a_configuration_error(
    database: Database, workspace: LocalWorkspace, change: dict[str, Any], said: str
) -> None:
    """No second try makes a wrong password right; it is not in the message."""
    source = PostgresSource(lambda: psycopg.connect(database.uri, **change))
    sync = Sync(main=PeopleQuery(sql="SELECT 1 AS id"))
    with pytest.raises(ConfigurationError, match=said) as error:
        run_sync(sync, source, workspace.client(), Rejections(), Summary(0))
    assert "secret-word" not in str(error.value)


def test_a_backend_that_dies_in_the_middle_is_transient(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """Postgres going away ends the run as one to be tried again; the summary tells what had been done."""
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
    """Two hundred transactions stamp now() and commit in any order around ten syncs; none is lost."""
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
    """The next run looks back to the start of the oldest, less the second that rounding may cost."""
    with database.connect() as other:
        (start,) = other.execute("SELECT extract(epoch FROM now())").fetchone() or (0,)
        time.sleep(2.5)
        with PostgresSource(database.connect).snapshot() as snapshot:
            assert snapshot.watermark.next_last_sync_time == int(start) - 1


def test_the_look_back_is_bounded(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A transaction that somebody forgot does not make every run send everything; the log warns."""
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
    """Where other roles hide their transactions, the default is subtracted, and the log names the GRANT."""
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
def test_ids_and_values_arrive_letter_by_letter(
    database: Database, run: RunQuery, workspace: LocalWorkspace, id_: str
) -> None:
    """Nothing on the way reads quotes, backslashes, braces or percent signs as anything but themselves."""
    database.execute("CREATE TABLE t (id text, name text)")
    database.connection.execute("INSERT INTO t VALUES (%s, %s)", [id_, id_])
    assert run("SELECT * FROM t", workspace.client()).summary.rows_imported == 1
    assert workspace.attributes([id_])[id_]["name"] == id_


def test_an_id_is_an_id_whatever_it_looks_like(run: RunQuery, workspace: LocalWorkspace) -> None:
    """The column says who is meant: an address or Customer.io's own number in `id` is not taken for one."""
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
    """Of zero, false and nothing, only nothing is no identifier."""
    assert run("SELECT 0 AS id, 0 AS n, false AS f", workspace.client()).summary.rows_imported == 1
    person = workspace.attributes(["0"])["0"]
    assert (person["n"], person["f"]) == ("0", "false")


def test_a_role_that_may_only_read_its_tables_is_enough(
    database: Database, workspace: LocalWorkspace
) -> None:
    """SELECT on what the query reads is all that a sync needs; what the role may not read is named."""
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
    """Also one with a column that is read as text, which is declared twice: that only plans it."""
    database.execute("LISTEN ran")
    told = "pg_notify('ran', clock_timestamp()::text)::text AS told"
    run(f"SELECT 'once' AS id, '1 day'::interval AS span, {told}", workspace.client())
    assert len(list(database.connection.notifies(timeout=1))) == 1


def test_order_and_limit_of_a_query_hold(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """Also where the query stands inside another one that reads a column as text: the last row wins."""
    database.execute(
        "CREATE TABLE t AS SELECT n, n * interval '1 day' AS span FROM generate_series(1, 500) n"
    )
    done = run("SELECT 'top' AS id, n, span FROM t ORDER BY n DESC LIMIT 3;", workspace.client())
    assert done.summary.rows_imported == 3
    person = workspace.attributes(["top"])["top"]
    assert (person["n"], person["span"]) == ("498", "498 days")


def test_waiting_for_customerio_is_not_idling(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """A source that ends idle transactions soon does not end a run that Customer.io holds up."""
    database.execute(
        f"ALTER DATABASE {database.name} SET idle_in_transaction_session_timeout = '200ms';"
        "CREATE TABLE t AS SELECT 'w' || n AS id, repeat('x', 900) AS v FROM generate_series(1, 10000) n"
    )
    workspace.faults(schedule=[{"kind": "429", "retry_after": 1}])
    done = run("SELECT * FROM t", workspace.client(max_concurrent_requests=1))
    assert (done.summary.status, done.summary.rows_imported) == (Status.COMPLETED, 10000)


def test_a_run_leaves_the_collector_of_cycles_as_it_was(run: RunQuery, workspace: LocalWorkspace) -> None:
    """A script goes on as it began, also after a run that failed."""
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


def test_a_replica_is_read_by_the_clock_of_what_it_has_replayed(
    postgres: LocalPostgres, database: Database, workspace: LocalWorkspace, tmp_path: Path
) -> None:
    """It spares the main server; the next last sync time is that of the last commit, less the overlap."""
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
