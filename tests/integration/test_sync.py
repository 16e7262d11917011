"""Runs of the engine from Postgres into a workspace."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
import pytest
from psycopg.rows import dict_row

from airflow_provider_cio.engine import PeopleQuery, Rejections, Source, Status, Summary, Sync, run_sync
from airflow_provider_cio.errors import QueryError, SourceUnavailableError

if TYPE_CHECKING:
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
    rejections = {(rejection.row, rejection.identifier, rejection.field) for rejection in done.rejections}
    assert rejections == {
        (1, "r1", "attributes.v"),
        (77, "r77", "attributes.email"),
        (78, "", "identifiers.id"),
        (2500, "r2500", "attributes.v"),
        (5000, "r5000", "attributes.v"),
    }


def test_values_of_all_kinds_arrive_as_what_they_are(run: RunQuery, workspace: LocalWorkspace) -> None:
    """Numbers keep their digits, times are floored Unix seconds, what has no JSON form is text."""
    query = """
        SELECT 'v' AS id, 12345678901234567890.123456789::numeric AS numeric, true AS boolean,
            9223372036854775807 AS big, date '2024-02-29' AS date,
            timestamptz '2024-01-01 00:00:00.9+00' AS late,
            timestamp '1969-12-31 23:59:59.5' AS before_1970, 'infinity'::timestamptz AS never,
            'NaN'::float8 AS nan,
            '{"a": [1, 1.50, 12345678901234567890]}'::jsonb AS json, ARRAY[[1, 2], [3, 4]] AS matrix,
            'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS uuid, '10.0.0.1'::inet AS inet,
            int4range(1, 5) AS range, '1 year 2 days'::interval AS interval, '\\xff00'::bytea AS bytes,
            'ünï'::text AS text, 0.1::float8 AS float;
        -- a comment after the semicolon
    """
    done = run(query, workspace.client())
    assert done.summary.status is Status.COMPLETED
    values: dict[str, Any] = workspace.attributes(["v"])["v"]
    assert json.loads(values.pop("json")) == {"a": [1, 1.5, 12345678901234567890]}
    assert json.loads(values.pop("matrix")) == [[1, 2], [3, 4]]
    values.pop("cio_id", None)
    assert values == {
        "id": "v",
        "numeric": "12345678901234567890.123456789",
        "boolean": "true",
        "big": "9223372036854775807",
        "date": "1709164800",
        "late": "1704067200",
        "before_1970": "-1",
        "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "inet": "10.0.0.1",
        "range": "[1,5)",
        "interval": "1 year 2 days",
        "bytes": "/wA=",
        "text": "ünï",
        "float": "0.1",
    }


def test_iso_timestamps_are_text_in_utc(run: RunQuery, workspace: LocalWorkspace) -> None:
    """With `timestamps: iso`, dates and times arrive as ISO 8601."""
    run(
        "SELECT 'i' AS id, date '2024-02-29' AS d, timestamptz '2024-01-01 01:00:00.5+01' AS t",
        workspace.client(),
        timestamps="iso",
    )
    values = workspace.attributes(["i"])["i"]
    assert (values["d"], values["t"]) == ("2024-02-29", "2024-01-01T00:00:00.500000Z")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1 AS id; SELECT 2 AS id", "multiple commands"),
        ("DELETE FROM t RETURNING id", "refuses the query"),
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
    source = Source(lambda: psycopg.connect(database.uri, row_factory=dict_row))
    run_sync(sync, source, workspace.client(), Rejections(), summary)
    assert summary.queries["people"].imported == 1


def test_a_source_that_is_not_there_is_transient(workspace: LocalWorkspace) -> None:
    """A restart of Postgres is worth another try; its password is not in the message."""
    source = Source(lambda: psycopg.connect("postgresql://u:secret-word@127.0.0.1:9/x"))
    with pytest.raises(SourceUnavailableError) as error:
        run_sync(
            Sync(main=PeopleQuery(sql="SELECT 1 AS id")), source, workspace.client(), Rejections(), Summary(0)
        )
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
            run_sync(Sync(main=PeopleQuery(sql=sql)), Source(database.connect), client, Rejections(), summary)
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
        with Source(database.connect).snapshot() as snapshot:
            assert snapshot.next_last_sync_time == int(start) - 1


def test_the_look_back_is_bounded(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A transaction that somebody forgot does not make every run send everything; the log warns."""
    with database.connect() as other:
        other.execute("SELECT 1")
        time.sleep(2.5)
        now = time.time()
        with Source(database.connect, max_lookback=1).snapshot() as snapshot:
            assert snapshot.next_last_sync_time is not None
            assert snapshot.next_last_sync_time >= int(now) - 3
    assert "longer than max_lookback" in caplog.text


def test_a_role_that_cannot_see_others_takes_the_overlap(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Transactions of other roles may be hidden; the log says which GRANT shows them."""
    role = f"{database.name}_role"
    database.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT CONNECT ON DATABASE {database.name} TO {role}"
    )
    try:
        source = Source(lambda: psycopg.connect(database.uri, user=role, password="p"), overlap=500)
        with source.snapshot() as snapshot:
            assert snapshot.next_last_sync_time is not None
            assert time.time() - snapshot.next_last_sync_time >= 500
        assert "GRANT pg_read_all_stats" in caplog.text
        database.execute(f"GRANT pg_read_all_stats TO {role}")
        with source.snapshot() as snapshot:
            assert snapshot.next_last_sync_time is not None
            assert time.time() - snapshot.next_last_sync_time < 100
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_all_chunks_come_from_one_snapshot(database: Database) -> None:
    """Rows that are committed while a run reads belong to the next run."""
    database.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10000) n")
    with Source(database.connect).snapshot() as snapshot, snapshot.read("SELECT * FROM t") as rows:
        chunks = iter(rows)
        first = next(chunks)
        database.execute("INSERT INTO t SELECT n FROM generate_series(10001, 20000) n")
        assert len(first) + sum(map(len, chunks)) == 10000
