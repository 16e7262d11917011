"""Errors of Postgres are classified by SQLSTATE. Their messages have a remedy, and no value of a row."""

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
#: Every SQLSTATE that Postgres documents for an error.
SQLSTATES = sorted(
    {
        error.sqlstate
        for error in vars(postgres_errors).values()
        if isinstance(error, type) and issubclass(error, psycopg.Error) and error.sqlstate
    }
    - {"00000"}
)
#: The SQLSTATEs of transient errors: whole classes with exceptions, and single ones.
TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
PERMANENT = {"53400", "57P04", "58P01"}
TRANSIENT = {"25P03", "25P04", "55006", "55P03", "72000", "XX000", "HV00N"}


def run(database: Database, query: str, **options: Any) -> Summary:
    """Run a query in a dry run and return the summary."""
    summary = Summary(0)
    source = PostgresSource(database.connect, **options)
    run_sync(Sync(main=PeopleQuery(sql=query)), source, DryRun(), Rejections(), summary)
    return summary


@pytest.fixture
def raising(database: Database) -> Database:
    """Return a database with functions that raise any SQLSTATE, with a value in every field of the error."""
    for language_volatility in ("volatile", "immutable"):
        database.execute(
            f"CREATE FUNCTION raise_{language_volatility}(state text, email text) RETURNS text"
            f" LANGUAGE plpgsql {language_volatility} AS $$ BEGIN RAISE EXCEPTION 'account % is locked',"
            " email USING ERRCODE = state, DETAIL = email, HINT = email, COLUMN = email, CONSTRAINT = email,"
            " DATATYPE = email, TABLE = email, SCHEMA = email; END $$"
        )
    return database


def test_every_sqlstate_is_classified_and_its_message_has_no_value(
    raising: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A function can raise any SQLSTATE with any message. The error shows the SQLSTATE and its name only."""
    caplog.set_level("DEBUG")
    wrong = {}
    for sqlstate in [*SQLSTATES, "ZX123", "P1234"]:
        try:
            run(raising, f"SELECT raise_volatile('{sqlstate}', v) AS id FROM (VALUES ('{SECRET}')) t (v)")
        except SyncError as error:
            expected = sqlstate not in PERMANENT and (
                sqlstate[:2] in TRANSIENT_CLASSES or sqlstate in TRANSIENT
            )
            is_classified = isinstance(error, TransientError) is expected
            text = f"{error!r} {error} {error.__cause__}"
            if not is_classified or SECRET in text or sqlstate not in text or not error.__suppress_context__:
                wrong[sqlstate] = str(error)
    assert wrong == {}
    assert SECRET not in caplog.text


def test_a_function_that_fails_while_planning_shows_no_value(raising: Database) -> None:
    """Postgres calls immutable functions while it plans a query, when messages of its parser are shown."""
    for sqlstate in ("42703", "42601", "42501", "42P01", "0A000", "3F000", "22023"):
        with pytest.raises(QueryError) as error:
            run(raising, f"SELECT raise_immutable('{sqlstate}', '{SECRET}') AS id")
        assert SECRET not in str(error.value)
        assert sqlstate in str(error.value)


@pytest.mark.parametrize(
    ("query", "message"),
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
        ("SELECT id::int FROM t", "not valid for the type that it is cast to"),
        ("SELECT (2147483647 + length(id)) AS id FROM t", "too large"),
        ("SELECT (SELECT v FROM (VALUES (1), (2)) x (v)) AS id", "LIMIT 1"),
        ("SELECT id FROM t WHERE id = 'no quote", "must be one SELECT"),
        ("SELECT id FROM t WHERE id = $1", r"contains a parameter such as \$1"),
        ("SELECT id FROM t\n\0 WHERE false", "contains a NUL character in line 2"),
        ("SELECT id,\n'\ud83d' AS a FROM t", "contains half of a surrogate pair in line 2"),
        ("SELECT n AS id, day::time FROM t, nothing # 1", "at line 1, column 43"),
    ],
)
def test_a_wrong_query_fails_with_a_position_and_a_remedy(
    database: Database, query: str, message: str
) -> None:
    """The message has the line and column where Postgres gives them, and what to do."""
    database.execute(
        "CREATE TABLE t (id text, day text); INSERT INTO t VALUES ('a', '2026-01-01'); CREATE SEQUENCE s;"
        "CREATE MATERIALIZED VIEW view_without_data AS SELECT id FROM t WITH NO DATA;"
        "CREATE FUNCTION write() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1'"
    )
    with pytest.raises(QueryError, match=message):
        run(database, query)


def test_a_pooler_without_transactions_is_a_configuration_error(database: Database) -> None:
    """PgBouncer with `pool_mode = statement` uses an SQLSTATE that it also uses for outages."""
    database.execute(
        "CREATE FUNCTION pooler() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
        " 'transaction blocks not allowed in statement pooling mode' USING ERRCODE = '08P01'; END $$"
    )
    with pytest.raises(ConfigurationError, match="Set its pool_mode to transaction or session"):
        run(database, "SELECT pooler() AS id")


def test_the_error_of_a_missing_permission_names_the_table(database: Database) -> None:
    """The message also has the GRANT that is missing."""
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
def test_timeouts_for_idle_sessions_do_not_end_a_slow_run(
    database: Database, setting: str, value: str
) -> None:
    """A run turns them off, because its transaction is idle while Customer.io makes it wait."""
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
def test_limits_that_protect_the_server_apply_to_a_run(
    database: Database, setting: str, value: str, error: type[SyncError]
) -> None:
    """A run leaves the timeouts and limits of the role on, and the error names the one that was exceeded."""
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


def test_a_run_without_permission_for_statistics_views_subtracts_the_overlap(database: Database) -> None:
    """Without pg_stat_activity or pg_prepared_xacts, a run continues, and a warning has the GRANT."""
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


def test_a_text_that_is_not_utf_8_is_a_query_error(postgres: LocalPostgres, database: Database) -> None:
    """A database with the encoding SQL_ASCII can hold any bytes. The message has the conversion."""
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


# Connections that cannot be opened.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "wrong"}, "28P01"),
        ({"password": ""}, "Add the password to the connection"),
        ({"user": "nobody_here"}, "28P01|28000"),
        ({"dbname": "nowhere"}, "Correct the connection's database"),
        ({"sslmode": "require"}, "Turn TLS on in the server"),
        ({"options": "-c no_such_setting=1"}, "names an unknown setting"),
        ({"options": "-c statement_timeout=soon"}, "a value is not valid"),
        ({"sslmode": "sometimes"}, "Use disable, allow"),
        ({"options": "-c search_path"}, "-c name=value"),
        ({"target_session_attrs": "any?"}, "libpq does not know the value"),
        ({"load_balance_hosts": "hunter2"}, "libpq does not know the value"),
        ({"gssencmode": "require"}, "gssencmode|libpq does not support"),
        ({"no_such_option": "hunter2"}, r"cannot be used \(ProgrammingError\)"),
        ({"connect_timeout": "soon"}, r"cannot be used \(ProgrammingError\)"),
    ],
)
def test_a_connection_that_is_refused_is_a_configuration_error(
    database: Database, change: dict[str, Any], message: str
) -> None:
    """A retry does not help, so the message has what to change. It does not have the password."""
    source = PostgresSource(lambda: psycopg.connect(database.uri, **change))
    with pytest.raises(ConfigurationError, match=message) as error, source.snapshot():
        pass
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize("cursor", [psycopg.ClientCursor, psycopg.RawCursor])
def test_the_cursor_class_of_a_connection_does_not_matter(
    database: Database, cursor: type[psycopg.Cursor[Any]]
) -> None:
    """A run reads rows with a cursor class of its own."""
    summary = Summary(0)
    source = PostgresSource(lambda: psycopg.connect(database.uri, cursor_factory=cursor))
    query = "SELECT 'a' AS id, '10:00'::time AS at"
    run_sync(Sync(main=PeopleQuery(sql=query)), source, DryRun(), Rejections(), summary)
    assert summary.rows_imported == 1


def test_roles_and_databases_that_refuse_a_login(database: Database) -> None:
    """A role without LOGIN or CONNECT has to be changed. A role at its connection limit has to wait."""
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
        with pytest.raises(SourceUnavailableError, match="out of connections"), source.snapshot():
            pass
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@contextmanager
def server(response: bytes | None) -> Iterator[int]:
    """Run a server with one response to everything, and yield its port.

    Args:
        response: The bytes that it sends; None to close the connection without a response.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(1000):
                if data[4:8] == struct.pack("!I", 80877103):  # a request for TLS
                    self.request.sendall(b"N")
                    continue
                if response is not None:
                    self.request.sendall(response)
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()


def refusal(severity: str, sqlstate: str, message: str) -> bytes:
    """Return an ErrorResponse of Postgres's protocol."""
    fields = b"".join(
        code + text.encode() + b"\0"
        for code, text in ((b"S", severity), (b"V", "FATAL"), (b"C", sqlstate), (b"M", message))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


@pytest.mark.parametrize(
    ("severity", "sqlstate", "message", "is_transient"),
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
def test_a_refusal_is_classified_by_its_sqlstate_in_any_language(
    severity: str, sqlstate: str, message: str, *, is_transient: bool
) -> None:
    """A server that is starting or full is a transient error. A person has to fix every other refusal."""
    with server(refusal(severity, sqlstate, message)) as port:
        source = PostgresSource(
            lambda: psycopg.connect(f"host=127.0.0.1 port={port} user=u password=pw12345 dbname=d")
        )
        expected = SourceUnavailableError if is_transient else ConfigurationError
        with pytest.raises(expected) as error, source.snapshot():
            pass
    assert SECRET not in str(error.value)
    assert "pw12345" not in str(error.value)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (None, SourceUnavailableError),
        (b"", SourceUnavailableError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ConfigurationError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ConfigurationError),
    ],
)
def test_a_server_of_another_protocol_is_a_configuration_error(
    response: bytes | None, expected: type[SyncError]
) -> None:
    """A server that closes the connection is an outage."""
    with server(response) as port:
        source = PostgresSource(
            lambda: psycopg.connect(f"host=127.0.0.1 port={port} user=u password=p dbname=d")
        )
        with pytest.raises(expected), source.snapshot():
            pass


def test_a_server_that_does_not_respond_is_an_outage() -> None:
    """The message does not quote the host, in which people put passwords by mistake."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent = listening.getsockname()[1]
        for parameters in (
            "host=127.0.0.1 port=1",
            "host=user:hunter2@no-such-host.invalid",
            f"host=127.0.0.1 port={silent} connect_timeout=2",
            "host=/no/such/folder",
        ):
            source = PostgresSource(partial(psycopg.connect, f"{parameters} user=u dbname=d"))
            with (
                pytest.raises(SourceUnavailableError, match="Cannot connect to Postgres") as error,
                source.snapshot(),
            ):
                pass
            assert "hunter2" not in str(error.value)
