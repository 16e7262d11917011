"""Postgres: one snapshot for all queries of a run, read in chunks, never written to.

A run changes nothing that has a say in what a query means: time zone, date style and search path are the
role's.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from airflow_provider_cio.engine.sources.lexemes import without_semicolon
from airflow_provider_cio.engine.sources.postgres.comparisons import comparison_warnings
from airflow_provider_cio.engine.sources.postgres.errors import query_error, source_error
from airflow_provider_cio.engine.sources.postgres.reading import PostgresRows
from airflow_provider_cio.engine.sources.postgres.session import Session
from airflow_provider_cio.engine.sources.postgres.types import describe_columns
from airflow_provider_cio.engine.sources.postgres.values import register_loaders
from airflow_provider_cio.engine.sources.postgres.watermark import read_watermark
from airflow_provider_cio.engine.sources.watermark import DEFAULT_MAX_LOOKBACK
from airflow_provider_cio.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.engine.sources.column import Column
    from airflow_provider_cio.engine.sources.postgres.types import PostgresColumn
    from airflow_provider_cio.engine.sources.protocol import Timestamps
    from airflow_provider_cio.engine.sources.watermark import Watermark

_SETTINGS: tuple[LiteralString, ...] = (
    # Plan for all rows: by default a cursor is planned for its first tenth, often with nested loops.
    "SET LOCAL cursor_tuple_fraction = 1",
    # The transaction is idle, and long, while Customer.io makes us wait; that must not end it.
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    """SELECT set_config('transaction_timeout', '0', true)
       WHERE current_setting('transaction_timeout', true) IS NOT NULL""",  # since Postgres 17
)


class PostgresSource:
    """A Postgres database to read from.

    Args:
        connect: Opens a connection, such as ``lambda: psycopg.connect("...")``.
        overlap: Seconds that are always subtracted from the next last sync time. When it is not given,
            `DEFAULT_OVERLAP` is subtracted, and only where the source cannot show all transactions in flight.
        max_lookback: Seconds by which a long transaction may put the next last sync time back.
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
        self._overlap = overlap
        self._max_lookback = max_lookback
        self._statement_timeout = statement_timeout
        self._timestamps: Timestamps = timestamps
        self._session: Session | None = None

    def stop(self) -> None:
        """End the query under way, which otherwise goes on without us; safe in a signal handler."""
        if self._session:
            self._session.cancel()

    @contextmanager
    def snapshot(self, stored: int = 0) -> Iterator[PostgresSnapshot]:
        """Open a read-only view of the database as it is now.

        Leaving it by an error takes a few seconds at most, whatever the network does.

        Args:
            stored: The last sync time as it is stored, in Unix seconds.

        Raises:
            ConfigurationError: The connection is wrong: its TLS, its login or password, or its database.
            SourceUnavailableError: Postgres cannot be reached, or does not answer any more.
        """
        session = self._session = Session(self._connect)
        try:
            session.open()
            try:
                snapshot = session.run(self._begin, session, stored)
            except psycopg.Error as error:
                raise source_error(error) from None
            yield snapshot
        except BaseException:
            session.abort()
            raise
        session.close()

    def _begin(self, session: Session, stored: int) -> PostgresSnapshot:
        connection = session.connection
        # Before the snapshot: what is committed between the two is then seen by the next run.
        watermark = read_watermark(
            connection, overlap=self._overlap, max_lookback=self._max_lookback, stored=stored
        )
        connection.autocommit = False
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        register_loaders(connection, self._timestamps)
        for setting in _SETTINGS:
            connection.execute(setting)
        if self._statement_timeout is not None:
            limit = f"{self._statement_timeout}s"
            connection.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
        backend, time_zone = connection.execute(
            "SELECT pg_backend_pid(), current_setting('TimeZone')"
        ).fetchone() or (None, "")
        session.backend = backend
        return PostgresSnapshot(session, watermark, time_zone)


class PostgresSnapshot:
    """The database at one moment.

    Attributes:
        watermark: The last sync time of the next run, and what to know about it.
        time_zone: The session's time zone, in which Postgres understands naive timestamps.
    """

    def __init__(self, session: Session, watermark: Watermark, time_zone: str) -> None:
        self._session = session
        self._numbers = itertools.count()
        self.watermark = watermark
        self.time_zone = time_zone

    @contextmanager
    def read(self, query: str, *, first: int | None = None) -> Iterator[PostgresRows]:
        """Run a query and give its rows, as they come.

        Args:
            query: One SELECT; a semicolon and comments may follow it.
            first: How many rows to give at most; all by default.

        Raises:
            QueryError: Postgres refuses it.
            SourceUnavailableError: Postgres went away.
        """
        _check_text(query)
        name = f"customerio_{next(self._numbers)}"
        columns = self._declare(name, sql.SQL(query), query, before=0)
        if first is not None or any(column.cast for column in columns):
            # Only now it is known which columns need a cast.
            name = f"customerio_{next(self._numbers)}"
            wrapped = _wrapped(query, columns, first)
            self._declare(name, wrapped, query, before=wrapped.as_string().find(without_semicolon(query)))
        yield PostgresRows(self._session, name, columns)

    def comparison_warnings(self, query: str, columns: Sequence[Column]) -> list[str]:
        """Return warnings about comparisons with the last sync time that can miss rows."""
        return comparison_warnings(query, columns, self.rows_of, self.time_zone)

    def rows_of(self, statement: LiteralString, *arguments: Any) -> list[tuple[Any, ...]]:
        """Ask Postgres about itself: give all rows of our own statement, none if the role may not ask."""

        def ask() -> list[tuple[Any, ...]]:
            connection = self._session.connection
            with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
                return connection.execute(statement, arguments).fetchall()
            return []

        try:
            return self._session.run(ask)
        except psycopg.Error as error:
            raise source_error(error) from None

    def _declare(
        self, name: str, statement: sql.SQL | sql.Composed, query: str, *, before: int
    ) -> list[PostgresColumn]:
        """Open a cursor at the server, which computes rows as they are fetched, and describe its columns."""
        head = sql.SQL("DECLARE {} NO SCROLL CURSOR FOR ").format(sql.Identifier(name))

        def declare() -> list[PostgresColumn]:
            connection = self._session.connection
            # Binary makes it the extended protocol, which takes one statement only.
            connection.execute(head + statement, binary=True)
            cursor = connection.cursor(binary=True)
            cursor.execute(sql.SQL("FETCH FORWARD 0 FROM {}").format(sql.Identifier(name)))
            return describe_columns(connection, cursor.description or [], self.time_zone)

        try:
            return self._session.run(declare)
        except psycopg.Error as error:
            raise query_error(error, query, len(head.as_string()) + before) from None
        except UnicodeDecodeError:
            raise QueryError(
                "The name of a column is not valid UTF-8, as it happens in databases of encoding SQL_ASCII."
                " Rename the column with AS"
            ) from None


def _check_text(query: str) -> None:
    """Raise an error for a query that cannot be sent: libpq cuts it off at a NUL, and with it a condition."""
    try:
        query.encode()
    except UnicodeEncodeError as error:
        problem, index = "half of a surrogate pair", error.start
    else:
        problem, index = "a NUL character", query.find("\0")
    if index >= 0:
        line = query.count("\n", 0, index) + 1
        raise QueryError(
            f"The query contains {problem} in line {line}, which Postgres cannot read. Remove it."
        )


def _wrapped(query: str, columns: list[PostgresColumn], first: int | None) -> sql.Composed:
    """Put the query into one that casts columns and, when only so many are wanted, has fewer rows."""
    comma = sql.SQL(", ")
    names = [sql.Identifier(f"column_{column_index}") for column_index in range(len(columns))]
    items = [
        sql.SQL("{} AS {}").format(sql.SQL(column.cast or "{}").format(name), sql.Identifier(column.name))
        for name, column in zip(names, columns, strict=True)
    ]
    aliases = sql.SQL("({})").format(comma.join(names)) if names else sql.SQL("")
    return sql.SQL("SELECT {} FROM (\n{}\n) AS query {} LIMIT {}").format(
        comma.join(items), sql.SQL(without_semicolon(query)), aliases, first
    )
