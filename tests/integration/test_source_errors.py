"""What an error of Postgres becomes: by its SQLSTATE, with what to do, and without a value."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors as postgres_errors

from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.errors import (
    ConfigurationError,
    QueryError,
    SourceUnavailableError,
    SyncError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.postgres import LocalPostgres
    from tests.conftest import Database

SECRET = "ada@example.com"
#: Every SQLSTATE that Postgres documents, but for successes and warnings.
SQLSTATES = sorted(
    {
        error.sqlstate
        for error in vars(postgres_errors).values()
        if isinstance(error, type) and issubclass(error, psycopg.Error) and error.sqlstate
    }
    - {"00000"}
)
#: Those that pass by themselves; of a class, all but the exceptions.
PASSING_CLASSES = ("08", "40", "53", "57", "58")
PASSING = {"25P03", "25P04", "55006", "55P03", "72000", "XX000", "HV00N"}
NOT_PASSING = {"53400", "57P04", "58P01"}


def run(database: Database, query: str, **options: Any) -> Summary:
    """Run a query in a dry run."""
    summary = Summary(0)
    source = PostgresSource(database.connect, **options)
    run_sync(Sync(main=PeopleQuery(sql=query)), source, DryRun(), Rejections(), summary)
    return summary


@pytest.fixture
def raising(database: Database) -> Database:
    """Give a database with functions that raise any SQLSTATE, with a value in every part of the error."""
    for language_volatility in ("volatile", "immutable"):
        database.execute(
            f"CREATE FUNCTION raise_{language_volatility}(state text, email text) RETURNS text"
            f" LANGUAGE plpgsql {language_volatility} AS $$ BEGIN RAISE EXCEPTION 'account % is locked',"
            " email USING ERRCODE = state, DETAIL = email, HINT = email, COLUMN = email, CONSTRAINT = email,"
            " DATATYPE = email, TABLE = email, SCHEMA = email; END $$"
        )
    return database


def test_every_sqlstate_is_classified_and_none_shows_a_value(
    raising: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A function can raise any SQLSTATE with any sentence: only the SQLSTATE and its class are shown."""
    caplog.set_level("DEBUG")
    wrong = {}
    for sqlstate in [*SQLSTATES, "ZX123", "P1234"]:
        try:
            run(raising, f"SELECT raise_volatile('{sqlstate}', v) AS id FROM (VALUES ('{SECRET}')) t (v)")
        except SyncError as error:
            passes = isinstance(error, TransientError)
            expected = (
                sqlstate[:2] in PASSING_CLASSES or sqlstate in PASSING
            ) and sqlstate not in NOT_PASSING
            shown = f"{error!r} {error} {error.__cause__} {error.__suppress_context__}"
            if passes is not expected or SECRET in shown or sqlstate not in shown or "True" not in shown:
                wrong[sqlstate] = str(error)
    assert wrong == {}
    assert SECRET not in caplog.text


def test_a_function_that_is_computed_while_planning_shows_no_value(raising: Database) -> None:
    """Postgres calls immutable functions before there is a row, where its parser's sentences are shown."""
    for sqlstate in ("42703", "42601", "42501", "42P01", "0A000", "3F000", "22023"):
        with pytest.raises(QueryError) as error:
            run(raising, f"SELECT raise_immutable('{sqlstate}', '{SECRET}') AS id")
        assert SECRET not in str(error.value)
        assert sqlstate in str(error.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT id FROM view_without_data", "REFRESH MATERIALIZED VIEW"),
        ("SELECT id, nextval('s') AS n FROM t", "A sync only reads"),
        ("SELECT write() AS id", "A sync only reads"),
        ("SELECT id FROM t FOR UPDATE", "A sync only reads|must be one SELECT|does not support"),
        ("SELECT emial FROM t", r'at line 1, column 8: column "emial" does not exist .*column\'s name'),
        ("SELECT\n  id,\n  emial FROM t", "at line 3, column 3"),
        ("SELECT id, day::date, emial FROM t", "at line 1, column 23"),
        ("SELECT id FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT id FROM no.where", 'relation "no.where" does not exist'),
        ("SELECT nothing(id) AS id FROM t", "function nothing"),
        ("SELECT id::nothing FROM t", 'type "nothing" does not exist'),
        ("SELECT id FROM t GROUP BY day", "must appear in the GROUP BY clause"),
        ("UPDATE t SET id = 'x' RETURNING id", "must be one SELECT"),
        ("INSERT INTO t VALUES ('y') RETURNING id", "must be one SELECT"),
        ("DELETE FROM t RETURNING id", "must be one SELECT"),
        ("SELECT 1 AS id; SELECT 2 AS id", "must be one SELECT"),
        ("SELECT 1 AS id; DELETE FROM t", "must be one SELECT"),
        ("SHOW timezone", "must be one SELECT"),
        ("EXPLAIN SELECT 1", "must be one SELECT"),
        ("COPY t TO STDOUT", "must be one SELECT"),
        ("", "must be one SELECT"),
        ("-- nothing", "must be one SELECT"),
        (
            "WITH x AS (DELETE FROM t RETURNING id) SELECT id FROM x",
            "must be one SELECT that changes nothing",
        ),
        ("SELECT id INTO u FROM t", "INTO|must be one SELECT"),
        ("SELECT 1 / (length(id) - 1) AS id FROM t", "NULLIF"),
        ("SELECT id::int FROM t", "cannot be read as the type"),
        ("SELECT (2147483647 + length(id)) AS id FROM t", "too large"),
        ("SELECT (SELECT v FROM (VALUES (1), (2)) x (v)) AS id", "LIMIT 1"),
        ("SELECT id FROM t WHERE id = 'no quote", "must be one SELECT"),
        ("SELECT id FROM t WHERE id = $1", r"has a parameter such as \$1"),
        ("SELECT id FROM t\n\0 WHERE false", "has a NUL character in line 2"),
        ("SELECT id,\n'\ud83d' AS a FROM t", "has half of a character in line 2"),
        ("SELECT n AS id, day::time FROM t, nothing # 1", "at line 1, column 43"),
    ],
)
def test_a_query_that_cannot_be_used_says_what_to_do(database: Database, query: str, said: str) -> None:
    """Each has its place in the query where Postgres knows it, and a sentence that says what to do."""
    database.execute(
        "CREATE TABLE t (id text, day text); INSERT INTO t VALUES ('a', '2026-01-01'); CREATE SEQUENCE s;"
        "CREATE MATERIALIZED VIEW view_without_data AS SELECT id FROM t WITH NO DATA;"
        "CREATE FUNCTION write() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'"
    )
    with pytest.raises(QueryError, match=said):
        run(database, query)


def test_a_pooler_that_has_no_transactions_is_a_configuration_error(database: Database) -> None:
    """PgBouncer with pool_mode statement says so with an SQLSTATE that it uses for outages, too."""
    database.execute(
        "CREATE FUNCTION pooler() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
        " 'transaction blocks not allowed in statement pooling mode' USING ERRCODE = '08P01'; END $$"
    )
    with pytest.raises(ConfigurationError, match="pool_mode has to be transaction or session"):
        run(database, "SELECT pooler() AS id")


def test_a_permission_that_is_missing_names_the_table(database: Database) -> None:
    """A role that may not read a table learns which one, and that SELECT has to be granted."""
    role = f"{database.name}_role"
    database.execute(f"CREATE TABLE t (id text); CREATE ROLE {role} LOGIN PASSWORD 'p'")
    try:
        source = PostgresSource(lambda: psycopg.connect(database.uri, user=role, password="p"))
        with pytest.raises(QueryError, match=r"permission denied for table t .*GRANT SELECT"):
            run_sync(
                Sync(main=PeopleQuery(sql="SELECT id FROM t")), source, DryRun(), Rejections(), Summary(0)
            )
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("transaction_timeout", "300"),
        ("idle_in_transaction_session_timeout", "300"),
        ("idle_session_timeout", "300"),
    ],
)
def test_timeouts_of_the_role_that_would_end_a_slow_run_are_off(
    database: Database, setting: str, value: str
) -> None:
    """A run may be idle, and long, as long as Customer.io makes it wait."""
    database.execute(f"ALTER DATABASE {database.name} SET {setting} = {value}")
    with PostgresSource(database.connect).snapshot() as snapshot:
        with snapshot.read("SELECT 1 AS id, pg_sleep(0.5)::text") as rows:
            assert len(list(rows)) == 1
        threading.Event().wait(0.5)
        with snapshot.read("SELECT 1 AS id") as rows:
            assert len(list(rows)) == 1


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [
        ("statement_timeout", "200", SourceUnavailableError),
        ("lock_timeout", "200", SourceUnavailableError),
        ("temp_file_limit", "'1kB'", QueryError),
    ],
)
def test_limits_of_the_role_are_kept_and_classified(
    database: Database, setting: str, value: str, error: type[SyncError]
) -> None:
    """A limit that protects the server holds for a run, too, and the error says what it is."""
    database.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 200000) n")
    database.execute(f"ALTER DATABASE {database.name} SET {setting} = {value}")
    database.execute(f"ALTER DATABASE {database.name} SET work_mem = '64kB'")
    with psycopg.connect(database.uri) as other:
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE" if setting == "lock_timeout" else "SELECT 1")
        queries = {
            "statement_timeout": "SELECT id, pg_sleep(10)::text FROM t",
            "lock_timeout": "SELECT id FROM t",
            "temp_file_limit": "SELECT id FROM t ORDER BY md5(id::text)",
        }
        with pytest.raises(error, match=setting):
            run(database, queries[setting])


def test_a_view_that_is_not_allowed_costs_the_overlap_only(database: Database) -> None:
    """Without pg_stat_activity or pg_prepared_xacts a run goes on, and a warning names the GRANT."""
    role = f"{database.name}_role"
    database.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'p';"
        "REVOKE SELECT ON pg_catalog.pg_stat_activity, pg_catalog.pg_prepared_xacts FROM PUBLIC"
    )
    try:
        source = PostgresSource(lambda: psycopg.connect(database.uri, user=role, password="p"))
        summary = Summary(0)
        run_sync(Sync(main=PeopleQuery(sql="SELECT 1 AS id")), source, DryRun(), Rejections(), summary)
        assert any("GRANT SELECT ON pg_catalog.pg_stat_activity" in each for each in summary.warnings)
        assert any("GRANT SELECT ON pg_catalog.pg_prepared_xacts" in each for each in summary.warnings)
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_text_that_is_not_utf_8_is_an_error_of_the_query(
    postgres: LocalPostgres, database: Database
) -> None:
    """A database of encoding SQL_ASCII may hold any bytes; the message says how to convert them."""
    name = f"{database.name}_ascii"
    with postgres.connect() as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0".encode()
        )
    try:
        uri = f"{postgres.uri.rpartition('/')[0]}/{name}"
        source = PostgresSource(lambda: psycopg.connect(uri))
        query = "SELECT chr(233) AS id"
        with pytest.raises(QueryError, match="not valid UTF-8"):
            run_sync(Sync(main=PeopleQuery(sql=query)), source, DryRun(), Rejections(), Summary(0))
    finally:
        with postgres.connect() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


# Before there is a session.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "28P01"),
        ({"password": ""}, "Give the connection a password"),
        ({"user": "nobody_here"}, "28P01|28000"),
        ({"dbname": "nowhere"}, "Correct the connection's database"),
        ({"sslmode": "require"}, "Turn TLS on at the server"),
        ({"options": "-c no_such_setting=1"}, "names an unknown setting"),
        ({"options": "-c statement_timeout=soon"}, "a value is not valid"),
        ({"sslmode": "sometimes"}, "It is one of disable"),
        ({"options": "-c search_path"}, "-c name=value"),
        ({"target_session_attrs": "any?"}, "a value that libpq does not know"),
        ({"load_balance_hosts": "hunter2"}, "a value that libpq does not know"),
        ({"gssencmode": "require"}, "gssencmode|libpq does not have"),
        ({"no_such_option": "hunter2"}, r"cannot be used \(ProgrammingError\)"),
        ({"connect_timeout": "soon"}, r"cannot be used \(ProgrammingError\)"),
    ],
)
def test_a_connection_that_is_refused_is_a_configuration_error(
    database: Database, change: dict[str, Any], said: str
) -> None:
    """An answer by the server does not change by trying again: the message says what to change."""
    source = PostgresSource(lambda: psycopg.connect(database.uri, **change))
    with pytest.raises(ConfigurationError, match=said) as error, source.snapshot():
        pass
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize("cursor", [psycopg.ClientCursor, psycopg.RawCursor])
def test_a_connection_may_have_other_cursors(database: Database, cursor: type[psycopg.Cursor[Any]]) -> None:
    """Rows are read in the same way whatever cursors the connection makes for others."""
    summary = Summary(0)
    source = PostgresSource(lambda: psycopg.connect(database.uri, cursor_factory=cursor))
    query = "SELECT 'a' AS id, '10:00'::time AS at"
    run_sync(Sync(main=PeopleQuery(sql=query)), source, DryRun(), Rejections(), summary)
    assert summary.rows_imported == 1


def test_roles_and_databases_that_refuse(database: Database) -> None:
    """A role without LOGIN, one without CONNECT, and one that has all the connections it may have."""
    role = f"{database.name}_role"
    database.execute(f"CREATE ROLE {role} NOLOGIN PASSWORD 'p'")
    source = PostgresSource(lambda: psycopg.connect(database.uri, user=role, password="p"))
    try:
        with pytest.raises(ConfigurationError, match="LOGIN"), source.snapshot():
            pass
        database.execute(f"ALTER ROLE {role} LOGIN; REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")
        with pytest.raises(ConfigurationError, match="GRANT CONNECT"), source.snapshot():
            pass
        database.execute(f"GRANT CONNECT ON DATABASE {database.name} TO {role}")
        database.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
        with pytest.raises(SourceUnavailableError, match="for now"), source.snapshot():
            pass
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """Give a server that answers so to whatever it is sent, or closes the connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(1000):
                if data[4:8] == struct.pack("!I", 80877103):  # a request for TLS
                    self.request.sendall(b"N")
                    continue
                if answer is not None:
                    self.request.sendall(answer)
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()


def refusal(severity: str, sqlstate: str, sentence: str) -> bytes:
    """Write an ErrorResponse of Postgres."""
    fields = b"".join(
        code + text.encode() + b"\0"
        for code, text in ((b"S", severity), (b"V", "FATAL"), (b"C", sqlstate), (b"M", sentence))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


@pytest.mark.parametrize(
    ("severity", "sqlstate", "sentence", "passes"),
    [
        ("FATAL", "28P01", "Passwort-Authentifizierung für Benutzer »x« fehlgeschlagen", False),
        ("ВАЖНО", "28P01", "пользователь не прошёл проверку подлинности", False),
        ("FATAL", "28000", 'role "x" is not permitted to log in', False),
        ("FATAL", "28000", "kein pg_hba.conf-Eintrag für Host", False),
        ("FATAL", "3D000", "Datenbank »x« existiert nicht", False),
        ("FATAL", "57P03", "das Datenbanksystem startet", True),
        ("ВАЖНО", "57P03", "система баз данных запускается", True),
        ("致命的エラー", "57P03", "データベースシステムは停止しています", True),
        ("FATAL", "53300", "tut mir leid, schon zu viele Verbindungen", True),
        ("FATAL", "53300", "remaining connection slots are reserved", True),
        ("FATAL", "57P01", "terminating connection due to administrator command", True),
        ("FATAL", "08P01", "no such database: x", False),
        ("ERROR", "08P01", "no such user: x", False),
        ("FATAL", "08P01", "server login has been failing, try again later (server_login_retry)", True),
        ("FATAL", "08P01", "no more connections allowed (max_client_conn)", True),
        ("FATAL", "08P01", "unsupported startup parameter: options", False),
        ("FATAL", "0A000", "unsupported frontend protocol 3.0", False),
        ("FATAL", "XX000", "something else", True),
        ("FATAL", "P0001", f"{SECRET} may not log in", False),
    ],
)
def test_a_refusal_is_told_by_its_sqlstate_in_any_language(
    severity: str, sqlstate: str, sentence: str, *, passes: bool
) -> None:
    """A server that is starting or full passes by itself; every other answer is for a person."""
    with server(refusal(severity, sqlstate, sentence)) as port:
        source = PostgresSource(
            lambda: psycopg.connect(f"host=127.0.0.1 port={port} user=u password=pw12345 dbname=d")
        )
        expected = SourceUnavailableError if passes else ConfigurationError
        with pytest.raises(expected) as error, source.snapshot():
            pass
    assert SECRET not in str(error.value)
    assert "pw12345" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, SourceUnavailableError),
        (b"", SourceUnavailableError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ConfigurationError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ConfigurationError),
    ],
)
def test_what_answers_otherwise_is_an_outage_or_not_postgres(
    answer: bytes | None, expected: type[SyncError]
) -> None:
    """A connection that is closed may pass; a server of another protocol does not turn into Postgres."""
    with server(answer) as port:
        source = PostgresSource(
            lambda: psycopg.connect(f"host=127.0.0.1 port={port} user=u password=p dbname=d")
        )
        with pytest.raises(expected), source.snapshot():
            pass


def test_a_server_that_does_not_answer_is_an_outage() -> None:
    """Refused, unknown, silent: all may pass. No part of a wrong host is shown, it may hold a password."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent = listening.getsockname()[1]
        for parameters in (
            "host=127.0.0.1 port=1",
            "host=user:hunter2@no-such-host.invalid",
            f"host=127.0.0.1 port={silent} connect_timeout=2",
            "host=/no/such/folder",
        ):
            source = PostgresSource(partial(psycopg.connect, f"{parameters} user=u dbname=d"))
            with pytest.raises(SourceUnavailableError, match="cannot be reached") as error, source.snapshot():
                pass
            assert "hunter2" not in str(error.value)
