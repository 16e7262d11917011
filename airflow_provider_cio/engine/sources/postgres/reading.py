"""Rows of a query, in chunks that are bounded by their number and their bytes.

A FETCH is read in pieces of a few rows as they arrive, and a chunk ends as soon as it is large enough. What
has not been read yet waits at the server, so rows that suddenly become long take no more memory than others.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from queue import Empty, Queue
from typing import TYPE_CHECKING

import msgspec
import psycopg
from psycopg import capabilities, sql

from airflow_provider_cio.engine.sources.postgres.errors import source_error, value_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_cio.engine.sources.column import Column
    from airflow_provider_cio.engine.sources.postgres.session import Session
    from airflow_provider_cio.engine.sources.protocol import Row

#: The largest chunk: 5,000 rows of 10 columns, or 166 of 300, and fewer where values are long. Larger ones
#: are not faster.
CHUNK_VALUES = 50_000
CHUNK_BYTES = 2_000_000
#: Rows that libpq hands over at once; the memory that a jump in their length can take. Fewer are slower.
_PIECE_ROWS = 32
#: Rows of one FETCH: enough to make up for its way to the server and back, few enough that the server's
#: statement_timeout does not run out while Customer.io takes long ones.
_FETCH_ROWS = 2_000
#: Of every piece, one row in so many is measured: each costs about a microsecond.
_SAMPLED = 4
#: An array takes so many times the memory of its JSON: Python makes an object of each element.
_ARRAY_WEIGHT = 8


class PostgresRows:
    """The rows of a query.

    Args:
        session: Reads them.
        cursor: The name of the server's cursor that computes them.
        columns: Their columns.
    """

    def __init__(self, session: Session, cursor: str, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._session = session
        self._cursor = cursor

    def __iter__(self) -> Iterator[list[Row]]:
        """Give the rows in chunks. The next chunk is read while the caller uses one.

        Raises:
            QueryError: A row cannot be computed, or read.
            SourceUnavailableError: Postgres ended the query, or does not answer any more.
        """
        reader = _Reader(self._session, self._cursor, self.columns)
        self._session.note_answer()
        done = self._session.submit(reader.read)
        try:
            while (chunk := self._next(reader)) is not None:
                yield chunk
        finally:
            reader.stop()
        try:
            done.result()
        except psycopg.Error as error:
            raise source_error(error) from None
        except (ValueError, ArithmeticError, LookupError) as error:  # what loaders of values raise
            raise value_error(error) from None

    def _next(self, reader: _Reader) -> list[Row] | None:
        """Wait for the next chunk; None at the end."""
        arrived: list[list[Row] | None] = []

        def wait(seconds: float) -> bool:
            with suppress(Empty):
                arrived.append(reader.chunks.get(timeout=seconds))
            return bool(arrived)

        self._session.wait_until(wait)
        return arrived[0]


class _Reader:
    """Reads a cursor to its end, in the session's thread, one chunk ahead of whoever uses the rows.

    Attributes:
        chunks: Gets the chunks, and None after the last one.
    """

    def __init__(self, session: Session, cursor: str, columns: Sequence[Column]) -> None:
        self.chunks: Queue[list[Row] | None] = Queue(maxsize=1)
        self._session = session
        self._statement = sql.SQL("FETCH FORWARD {} FROM {}").format(_FETCH_ROWS, sql.Identifier(cursor))
        self._most_rows = max(CHUNK_VALUES // max(len(columns), 1), 1)
        self._arrays = [column_index for column_index, column in enumerate(columns) if column.array]
        self._stopped = False

    def stop(self) -> None:
        """Let the reader end: nobody takes its chunks any more."""
        self._stopped = True
        with suppress(Empty):
            self.chunks.get_nowait()

    def read(self) -> None:
        """Read all rows."""
        chunk: list[Row] = []
        length = 0.0
        try:
            for number, piece in enumerate(self._pieces()):
                self._session.note_answer()
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
        """Fetch rows until there are none."""
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
        """Estimate how many bytes the rows of a piece take. Each piece has other rows measured."""
        sample = piece[number % _SAMPLED :: _SAMPLED] or piece[-1:]
        length = sum(len(msgspec.json.encode(row)) for row in sample)
        for column_index in self._arrays:
            length += _ARRAY_WEIGHT * sum(len(msgspec.json.encode(row[column_index])) for row in sample)
        return length * len(piece) / len(sample)
