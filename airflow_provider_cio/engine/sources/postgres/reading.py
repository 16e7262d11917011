"""The rows of a query, in chunks that are bounded in number and bytes.

The response to a FETCH is read in pieces of a few rows, and a chunk ends as soon as it is large enough. Rows
that have not been read wait in the server, so rows that suddenly become long take no more memory than others.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from queue import Empty, Queue
from typing import TYPE_CHECKING

import msgspec
import psycopg
from psycopg import capabilities, sql

from airflow_provider_cio.engine.sources.postgres.errors import execution_error, value_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_cio.engine.sources.column import Column
    from airflow_provider_cio.engine.sources.postgres.session import Session
    from airflow_provider_cio.engine.sources.protocol import Row

#: The largest chunk: 5,000 rows of 10 columns, or 166 rows of 300 columns, and fewer if values are long.
#: Larger chunks are not faster.
CHUNK_VALUES = 50_000
CHUNK_BYTES = 2_000_000
#: The rows that libpq returns at once, before their length is known. Fewer are slower, more take more memory
#: if rows suddenly become long.
_PIECE_ROWS = 32
#: The rows of one FETCH. Fewer are slower because of the round trip. With more, statement_timeout could
#: expire while Customer.io is slow and the rows wait in the server.
_FETCH_ROWS = 2_000
#: The length is measured of one row in four, because a measurement takes about a microsecond.
_SAMPLE_STEP = 4
#: How many times the memory of its JSON an array takes, because each element is a Python object.
_ARRAY_WEIGHT = 8


class PostgresRows:
    """The rows of a query.

    Args:
        session: The session that opened the query.
        cursor: The name of the query's cursor in the server.
        columns: The columns of the query.
    """

    def __init__(self, session: Session, cursor: str, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._session = session
        self._cursor = cursor

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield the rows in chunks. The next chunk is read while the caller uses the current one.

        Raises:
            QueryError: Postgres cannot compute a row, or a value cannot be decoded.
            SourceUnavailableError: Postgres stopped the query, or does not respond any more.
        """
        reader = _Reader(self._session, self._cursor, self.columns)
        self._session.mark_received()
        done = self._session.submit(reader.read)
        try:
            while (chunk := self._next(reader)) is not None:
                yield chunk
        finally:
            reader.stop()
        try:
            done.result()
        except psycopg.Error as error:
            raise execution_error(error) from None
        except (ValueError, ArithmeticError, LookupError) as error:  # loaders of values raise these
            raise value_error(error) from None

    def _next(self, reader: _Reader) -> list[Row] | None:
        """Wait for the next chunk, and return it; None at the end."""
        arrived: list[list[Row] | None] = []

        def wait(seconds: float) -> bool:
            with suppress(Empty):
                arrived.append(reader.chunks.get(timeout=seconds))
            return bool(arrived)

        self._session.wait_until(wait)
        return arrived[0]


class _Reader:
    """Reads a cursor to its end in the thread of the session, one chunk ahead of the caller.

    Attributes:
        chunks: Receives the chunks, and None after the last one.
    """

    def __init__(self, session: Session, cursor: str, columns: Sequence[Column]) -> None:
        self.chunks: Queue[list[Row] | None] = Queue(maxsize=1)
        self._session = session
        self._statement = sql.SQL("FETCH FORWARD {} FROM {}").format(_FETCH_ROWS, sql.Identifier(cursor))
        self._most_rows = max(CHUNK_VALUES // max(len(columns), 1), 1)
        self._arrays = [column_index for column_index, column in enumerate(columns) if column.array]
        self._stopped = False

    def stop(self) -> None:
        """Stop reading, because no more chunks are needed."""
        self._stopped = True
        with suppress(Empty):
            self.chunks.get_nowait()

    def read(self) -> None:
        """Read all rows into chunks."""
        chunk: list[Row] = []
        length = 0.0
        try:
            for number, piece in enumerate(self._pieces()):
                self._session.mark_received()
                chunk += piece
                length += self._length(piece, number)
                if len(chunk) >= self._most_rows or length >= CHUNK_BYTES:
                    self.chunks.put(chunk)
                    chunk, length = [], 0.0
                if self._stopped:
                    return
            if chunk:
                self.chunks.put(chunk)
        finally:
            if not self._stopped:
                self.chunks.put(None)

    def _pieces(self) -> Iterator[list[Row]]:
        """Yield all rows in pieces of `_PIECE_ROWS`."""
        cursor = self._session.connection.cursor(binary=True)
        size = _PIECE_ROWS if capabilities.has_stream_chunked() else 1
        fetched = _FETCH_ROWS
        while fetched == _FETCH_ROWS:
            fetched = 0
            rows = cursor.stream(self._statement, binary=True, size=size)
            while piece := list(islice(rows, _PIECE_ROWS)):
                fetched += len(piece)
                yield piece

    def _length(self, piece: Sequence[Row], number: int) -> float:
        """Estimate the bytes of the rows of a piece from a sample of other rows in each piece."""
        sample = piece[number % _SAMPLE_STEP :: _SAMPLE_STEP] or piece[-1:]
        length = sum(len(msgspec.json.encode(row)) for row in sample)
        for column_index in self._arrays:
            length += _ARRAY_WEIGHT * sum(len(msgspec.json.encode(row[column_index])) for row in sample)
        return length * len(piece) / len(sample)
