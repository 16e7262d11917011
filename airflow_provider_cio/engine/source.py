"""Postgres: one snapshot for all queries of a run, read row by row, never written to."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString, TypeAlias

import msgspec
import psycopg
from psycopg import sql
from psycopg.postgres import types as postgres_types
from psycopg.rows import tuple_row
from sqlparse import lexer
from sqlparse.tokens import Comment, Whitespace

from airflow_provider_cio.engine.values import NATIVE, register_loaders
from airflow_provider_cio.engine.watermark import DEFAULT_MAX_LOOKBACK, DEFAULT_OVERLAP, read_watermark
from airflow_provider_cio.errors import ConfigurationError, QueryError, SourceUnavailableError, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_cio.engine.queries import Timestamps


Row: TypeAlias = tuple[Any, ...]

#: What is fetched at once: 5,000 rows of 10 columns, 166 of 300, and fewer where values are long.
CHUNK_VALUES = 50_000
CHUNK_BYTES = 4_000_000
#: The first rows tell how long values are.
_FIRST_ROWS = 100
_SAMPLED_ROWS = 16

_CANCEL_SECONDS = 2

_NATIVE_OIDS = {oid for name in NATIVE for oid in (postgres_types[name].oid, postgres_types[name].array_oid)}
#: What the values of a type are read as; all others as text. A real becomes the double of the same digits.
_READ_AS = {postgres_types[name].oid: name for name in NATIVE} | {postgres_types["float4"].oid: "float8"}

#: What a type holds: for an array that is its elements' type, for a domain its base type.
_DESCRIBE_TYPES = """
    WITH RECURSIVE described AS (
        SELECT t.oid, coalesce(e.oid, t.oid) AS held, e.oid IS NOT NULL AS is_array
        FROM pg_catalog.pg_type t
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
        WHERE t.oid = ANY(%s)
        UNION ALL
        SELECT described.oid, d.typbasetype, is_array
        FROM described JOIN pg_catalog.pg_type d ON d.oid = held AND d.typtype = 'd'
    )
    SELECT described.oid, held, is_array, format_type(described.oid, NULL)
    FROM described JOIN pg_catalog.pg_type t ON t.oid = held AND t.typtype <> 'd'
"""

_SETTINGS: tuple[LiteralString, ...] = (
    # Plan for all rows: by default a cursor is planned for its first tenth, often with nested loops.
    "SET LOCAL cursor_tuple_fraction = 1",
    # The transaction is idle while Customer.io makes us wait; that must not end it.
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    # What is cast to text reads the same on every server.
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 3",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL timezone = 'UTC'",
)

#: What libpq says when trying again would not help, and what does. Its errors have no codes before there is a
#: session, so its words have to do; whatever is not among these is taken for something that passes.
_REMEDIES = {
    "certificate verify failed": "The server's certificate has to come from an authority in the file that"
    " sslrootcert names, and neither may have expired.",
    "does not match host name": "Give the connection a host that the certificate is for; sslmode verify-ca"
    " trusts every host that the authority vouches for.",
    "root certificate file": "Let sslrootcert name a PEM file with the server's authority, on every worker.",
    "server does not support SSL": "Turn TLS on at the server; sslmode prefer also does without.",
    "no pg_hba.conf entry": "If the server wants TLS, set sslmode to require or verify-full; otherwise its"
    " pg_hba.conf has to let this user in from this host.",
    "password authentication failed": "Correct login and password of the connection.",
    '" does not exist': "Correct the connection's database, or its login.",
    "invalid sslmode value": "It is one of disable, allow, prefer, require, verify-ca and verify-full.",
}


@dataclass(frozen=True)
class Column:
    """A column of a query's result.

    Args:
        name: As the query gives it.
        type: Postgres's name of the type its values have when they arrive here.
        array: Whether it holds arrays of that type.
        postgres_type: Postgres's name of the type that it has in the query.
    """

    name: str
    type: str
    array: bool = False
    postgres_type: str = ""


class Source:
    """A Postgres database to read from.

    Args:
        connect: Opens a connection, such as ``lambda: psycopg.connect("...")``.
        overlap: Seconds that are always subtracted from the next last sync time. When it is not given,
            `DEFAULT_OVERLAP` is subtracted only where the source hides when transactions began.
        max_lookback: Seconds by which a long transaction may put it back.
        statement_timeout: Seconds that Postgres may take for the next rows; by default what the server says.
        timestamps: What dates and times become.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        *,
        overlap: int | None = None,
        max_lookback: int = DEFAULT_MAX_LOOKBACK,
        statement_timeout: int | None = None,
        timestamps: Timestamps = "unix",
    ) -> None:
        self._connect = connect
        self._overlap = DEFAULT_OVERLAP if overlap is None else overlap
        self._max_lookback = max_lookback
        self._statement_timeout = statement_timeout
        self._timestamps: Timestamps = timestamps
        self._connection: psycopg.Connection[Any] | None = None

    def stop(self) -> None:
        """End the query under way, which otherwise goes on without us; safe in a signal handler."""
        if self._connection:
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open a read-only view of the database as it is now.

        Raises:
            ConfigurationError: The connection is wrong: its TLS, its login or password, or its database.
            SourceUnavailableError: Postgres cannot be reached.
        """
        try:
            with self._connect() as connection:
                connection.autocommit = True
                connection.row_factory = tuple_row  # an Airflow connection may ask for another
                connection.execute("SET client_encoding = 'UTF8'")
                # Before the snapshot: whoever commits between the two is then seen by the next run.
                next_last_sync_time = read_watermark(connection, self._overlap, self._max_lookback)
                connection.autocommit = False
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                register_loaders(connection, self._timestamps)
                for setting in _SETTINGS:
                    connection.execute(setting)
                if self._statement_timeout is not None:
                    limit = f"{self._statement_timeout}s"
                    connection.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
                self._connection = connection
                yield Snapshot(connection, next_last_sync_time)
        except psycopg.OperationalError as error:
            raise _unreachable(_first_line(error)) from None


class Snapshot:
    """The database at one moment.

    Attributes:
        next_last_sync_time: The last sync time for the next run, in Unix seconds; None where the source
            cannot say, and the old one has to stay.
    """

    def __init__(self, connection: psycopg.Connection[Any], next_last_sync_time: int | None) -> None:
        self._connection = connection
        self._numbers = itertools.count()
        self.next_last_sync_time = next_last_sync_time

    @contextmanager
    def read(self, query: str, *, first: int | None = None) -> Iterator[Rows]:
        """Run a query and give its rows, as they come.

        Args:
            query: One SELECT; a semicolon and comments may follow it.
            first: How many rows to give at most; all by default.

        Raises:
            QueryError: Postgres refuses it.
            SourceUnavailableError: Postgres went away.
        """
        cursor = self._declare(sql.SQL(query))
        columns = self._columns(cursor)
        if first is not None or any(cast for _, cast in columns):
            # Only now it is known which columns have no JSON form: read those as text.
            cursor.close()
            cursor = self._declare(_wrapped(query, columns, first))
        try:
            yield Rows(cursor, [column for column, _ in columns])
        except BaseException:
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)  # nobody waits for rows under way
            raise
        finally:
            if not self._connection.closed and not self._connection.broken:
                cursor.close()

    def _declare(self, statement: sql.SQL | sql.Composed) -> psycopg.ServerCursor[Row]:
        """Open a server-side cursor. Its rows are computed as they are fetched."""
        cursor = self._connection.cursor(name=f"customerio_{next(self._numbers)}", binary=True)
        try:
            return cursor.execute(statement)
        except psycopg.OperationalError as error:
            raise SourceUnavailableError(f"Postgres went away: {_first_line(error)}") from None
        except psycopg.Error as error:
            raise QueryError(f"Postgres refuses the query: {_first_line(error)}") from None

    def _columns(self, cursor: psycopg.ServerCursor[Row]) -> list[tuple[Column, LiteralString]]:
        """Describe a query's columns, each with the cast that it needs, if any."""
        description = cursor.description or []
        found = self._connection.execute(_DESCRIBE_TYPES, [[column.type_code for column in description]])
        types = {oid: (held, array, shown) for oid, held, array, shown in found}
        columns: list[tuple[Column, LiteralString]] = []
        for described in description:
            held, array, shown = types[described.type_code]
            column = Column(described.name, _READ_AS.get(held, "text"), array, shown)
            cast: LiteralString = ""
            if described.type_code not in _NATIVE_OIDS:
                cast = "::text[]::{type}[]" if array else "::text::{type}"
            columns.append((column, cast))
        return columns


class Rows:
    """The rows of a query, in chunks.

    Attributes:
        columns: Their columns.
    """

    def __init__(self, cursor: psycopg.ServerCursor[Row], columns: list[Column]) -> None:
        self.columns = columns
        self._cursor = cursor

    def __iter__(self) -> Iterator[list[Row]]:
        """Fetch some rows at a time, the next ones while these are used.

        Raises:
            QueryError: A row cannot be computed.
            SourceUnavailableError: Postgres went away or ended the query.
        """
        try:
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="customerio-source") as reader:
                try:
                    coming = reader.submit(self._cursor.fetchmany, _FIRST_ROWS)
                    while rows := coming.result():
                        coming = reader.submit(self._cursor.fetchmany, self._rows_at_once(rows))
                        yield rows
                except BaseException:  # a timeout of the task, say: the reader would be waited for
                    self._cursor.connection.cancel_safe(timeout=_CANCEL_SECONDS)
                    raise
        except psycopg.OperationalError as error:
            raise SourceUnavailableError(f"Postgres ended the query: {_first_line(error)}") from None
        except psycopg.Error as error:
            if isinstance(error, psycopg.InternalError) and not error.sqlstate:
                # What psycopg makes of half an answer by a dying backend.
                raise SourceUnavailableError("Postgres ended the query in the middle of an answer") from None
            # While rows are computed, Postgres's sentence may quote a value of one.
            raise QueryError(
                f"Postgres could not compute a row: {type(error).__name__} ({error.sqlstate})."
                " Run the query in psql to see the value."
            ) from None

    def _rows_at_once(self, last: list[Row]) -> int:
        """Say how many rows to fetch next, judging by the length of the last ones."""
        sample = last[:: len(last) // _SAMPLED_ROWS + 1]
        length = sum(len(msgspec.json.encode(row)) for row in sample) // len(sample)
        return max(min(CHUNK_VALUES // len(self.columns), CHUNK_BYTES // (length + 1)), 1)


def _wrapped(query: str, columns: list[tuple[Column, LiteralString]], first: int | None) -> sql.Composed:
    """Put the query into one that casts columns and, when only so many are wanted, has fewer rows."""
    comma = sql.SQL(", ")
    places = [sql.Identifier(f"column_{place}") for place in range(len(columns))]
    items = [
        sql.SQL("{place}" + cast + " AS {name}").format(
            place=place, type=sql.Identifier(column.type), name=sql.Identifier(column.name)
        )
        for place, (column, cast) in zip(places, columns, strict=True)
    ]
    return sql.SQL("SELECT {} FROM (\n{}\n) AS query ({}) LIMIT {}").format(
        comma.join(items), sql.SQL(_without_semicolon(query)), comma.join(places), first
    )


def _without_semicolon(query: str) -> str:
    """Cut off the semicolon, and comments at the end, so that the query can stand in brackets."""
    tokens = list(lexer.tokenize(query))
    while tokens and (tokens[-1][0] in Comment or tokens[-1][0] in Whitespace or tokens[-1][1] == ";"):
        tokens.pop()
    return "".join(text for _, text in tokens)


def _unreachable(message: str) -> SyncError:
    """Tell what only a person can mend from what may pass by itself."""
    for words, remedy in _REMEDIES.items():
        if words in message:
            return ConfigurationError(f"Postgres cannot be reached: {message}. {remedy}")
    return SourceUnavailableError(f"Postgres cannot be reached: {message}")


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
