"""Postgres as a source: one read-only snapshot for all queries of a run, read in chunks.

A run does not change what a query means: time zone, date style and search path stay as the role has them.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from airflow_provider_cio.engine.sources.postgres.comparisons import comparison_warnings
from airflow_provider_cio.engine.sources.postgres.errors import execution_error, query_error
from airflow_provider_cio.engine.sources.postgres.lexer import without_semicolon
from airflow_provider_cio.engine.sources.postgres.matching import matching_condition
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
    from airflow_provider_cio.engine.sources.protocol import Match, Timestamps
    from airflow_provider_cio.engine.sources.watermark import Watermark

_SETTINGS: tuple[LiteralString, ...] = (
    # Plan for all rows: by default, Postgres plans a cursor for the first tenth of its rows.
    "SET LOCAL cursor_tuple_fraction = 1",
    # The transaction is idle while Customer.io makes the run wait. These timeouts would end it.
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    """SELECT set_config('transaction_timeout', '0', true)
       WHERE current_setting('transaction_timeout', true) IS NOT NULL""",  # since Postgres 17
)


class PostgresSource:
    """A Postgres database to read from.

    Args:
        connect: Opens a connection, such as ``lambda: psycopg.connect("...")``.
        overlap: Seconds that are always subtracted from the next last sync time. Without it,
            `DEFAULT_OVERLAP` is subtracted, and only where the source hides transactions in flight.
        max_lookback: The largest number of seconds by which a long transaction sets the next last sync time
            back.
        statement_timeout: The longest time in seconds for the next rows; without it, the server's setting.
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
        """Cancel the query that is running. Safe in a signal handler."""
        if self._session:
            self._session.cancel()

    @contextmanager
    def snapshot(self, stored: int = 0) -> Iterator[PostgresSnapshot]:
        """Open a read-only snapshot of the database.

        After an error, it closes within a few seconds, whatever the network does.

        Args:
            stored: The stored last sync time, in Unix seconds.

        Raises:
            ConfigurationError: A person has to change the connection: TLS, login, password or database.
            SourceUnavailableError: Postgres cannot be reached, or does not respond any more.
        """
        session = self._session = Session(self._connect)
        try:
            session.open()
            try:
                snapshot = session.run(self._begin, session, stored)
            except psycopg.Error as error:
                raise execution_error(error) from None
            yield snapshot
        except BaseException:
            session.abort()
            raise
        session.close()

    def _begin(self, session: Session, stored: int) -> PostgresSnapshot:
        connection = session.connection
        # Before the snapshot, so that the next run reads what is committed between the two.
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
        watermark: The last sync time of the next run, with warnings.
        time_zone: The session's time zone, in which Postgres interprets naive timestamps.
    """

    def __init__(self, session: Session, watermark: Watermark, time_zone: str) -> None:
        self._session = session
        self._numbers = itertools.count()
        self.watermark = watermark
        self.time_zone = time_zone

    @contextmanager
    def read(
        self, query: str, *, first: int | None = None, matching: Sequence[Match] = ()
    ) -> Iterator[PostgresRows]:
        """Open a query and return its rows.

        Args:
            query: One SELECT. A semicolon and comments can follow it.
            first: The largest number of rows to read; None for all.
            matching: If given, rows without any of the texts are left out where Postgres can decide it.

        Raises:
            QueryError: Postgres refused the query.
            SourceUnavailableError: Postgres does not respond any more.
        """
        _check_text(query)
        name = f"customerio_{next(self._numbers)}"
        columns = self._declare(name, sql.SQL(query), query, offset=0)
        if first is not None or matching or any(column.cast for column in columns):
            # Open it again with casts: the types of the columns are known only now.
            name = f"customerio_{next(self._numbers)}"
            wrapped = _wrapped(query, columns, first, matching)
            self._declare(name, wrapped, query, offset=wrapped.as_string().find(without_semicolon(query)))
        yield PostgresRows(self._session, name, columns)

    def count(self, query: str) -> int:
        """Return the number of rows of a query, which Postgres counts.

        Raises:
            QueryError: Postgres refused the query, or cannot compute a row.
            SourceUnavailableError: Postgres does not respond any more.
        """
        _check_text(query)
        counting = sql.SQL("SELECT count(*) FROM (\n{}\n) AS query").format(sql.SQL(without_semicolon(query)))
        with self.read(counting.as_string()) as rows:
            ((number,),) = (row for chunk in rows for row in chunk)
        return int(number)

    def comparison_warnings(self, query: str, columns: Sequence[Column]) -> list[str]:
        """Return warnings about comparisons with the last sync time that can miss rows."""
        return comparison_warnings(query, columns, self._fetch_all, self.time_zone)

    def _fetch_all(self, statement: LiteralString, *arguments: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement of ours; none if the role lacks a permission for it."""

        def fetch() -> list[tuple[Any, ...]]:
            connection = self._session.connection
            with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
                return connection.execute(statement, arguments).fetchall()
            return []

        try:
            return self._session.run(fetch)
        except psycopg.Error as error:
            raise execution_error(error) from None

    def _declare(
        self, name: str, statement: sql.SQL | sql.Composed, query: str, *, offset: int
    ) -> list[PostgresColumn]:
        """Open a cursor in the server, and return the description of its columns.

        Args:
            name: The name of the cursor.
            statement: The query as it is sent.
            query: The query of the spec, to which positions in errors refer.
            offset: The number of characters of the statement before the query.
        """
        head = sql.SQL("DECLARE {} NO SCROLL CURSOR FOR ").format(sql.Identifier(name))

        def declare() -> list[PostgresColumn]:
            connection = self._session.connection
            # binary=True uses the extended protocol, which refuses more than one statement.
            connection.execute(head + statement, binary=True)
            cursor = connection.cursor(binary=True)
            cursor.execute(sql.SQL("FETCH FORWARD 0 FROM {}").format(sql.Identifier(name)))
            return describe_columns(connection, cursor.description or [], query, self.time_zone)

        try:
            return self._session.run(declare)
        except psycopg.Error as error:
            raise query_error(error, query, len(head.as_string()) + offset) from None
        except UnicodeDecodeError:
            raise QueryError(
                "The name of a column is not valid UTF-8, which is possible in SQL_ASCII databases. Rename"
                " the column with AS."
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


def _wrapped(
    query: str, columns: list[PostgresColumn], first: int | None, matching: Sequence[Match]
) -> sql.Composed:
    """Return a query around the query, which casts its columns, selects rows and limits their number."""
    comma = sql.SQL(", ")
    names = [sql.Identifier(f"column_{column_index}") for column_index in range(len(columns))]
    items = [
        sql.SQL("{} AS {}").format(sql.SQL(column.cast or "{}").format(name), sql.Identifier(column.name))
        for name, column in zip(names, columns, strict=True)
    ]
    aliases = sql.SQL("({})").format(comma.join(names)) if names else sql.SQL("")
    return sql.SQL("SELECT {} FROM (\n{}\n) AS query {} WHERE {} LIMIT {}").format(
        comma.join(items),
        sql.SQL(without_semicolon(query)),
        aliases,
        matching_condition(columns, names, matching),
        first,
    )
