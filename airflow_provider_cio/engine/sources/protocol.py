"""What the engine needs of a database. Each kind of database implements these protocols in its own folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from airflow_provider_cio.engine.sources.column import Column
    from airflow_provider_cio.engine.sources.watermark import Watermark

#: The values of one row, in the order of the columns.
Row: TypeAlias = tuple[Any, ...]
#: Dates and times arrive as Unix seconds, or as ISO 8601 text.
Timestamps = Literal["unix", "iso"]


@dataclass(frozen=True)
class Match:
    """Texts to look for in a column.

    Args:
        column: The name of the column.
        texts: The texts.
        ignore_case: Whether upper and lower case are the same.
    """

    column: str
    texts: Collection[str]
    ignore_case: bool = False


class Rows(Protocol):
    """The result of one query, read in chunks.

    Attributes:
        columns: The columns of the result.
    """

    columns: Sequence[Column]

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield chunks of at least one row, whose number and bytes are bounded.

        Raises:
            QueryError: The database cannot compute a row, or a value cannot be read.
            SourceUnavailableError: The database ended the query, or stopped answering.
        """


class Snapshot(Protocol):
    """A read-only view of the database at one moment.

    Attributes:
        watermark: The last sync time of the next run.
    """

    watermark: Watermark

    def read(
        self, query: str, *, first: int | None = None, matching: Sequence[Match] = ()
    ) -> AbstractContextManager[Rows]:
        """Run a query.

        Args:
            query: One SELECT.
            first: The largest number of rows to read; None for all.
            matching: If given, rows without any of the texts need not be returned. The caller checks each
                row, so a database may return more of them.

        Raises:
            QueryError: The database refuses the query.
            SourceUnavailableError: The database stopped answering.
        """

    def count(self, query: str) -> int:
        """Return the number of rows of a query, without reading them.

        Raises:
            QueryError: The database cannot compute a row.
            SourceUnavailableError: The database stopped answering.
        """

    def comparison_warnings(self, query: str, columns: Sequence[Column]) -> list[str]:
        """Return warnings about comparisons with the last sync time that can miss rows.

        Args:
            query: A query that was opened in this snapshot.
            columns: Its columns.
        """


class Source(Protocol):
    """A database to read from."""

    def snapshot(self, stored: int = 0) -> AbstractContextManager[Snapshot]:
        """Open a snapshot of the database.

        Args:
            stored: The last sync time that is stored, in Unix seconds.

        Raises:
            ConfigurationError: A person has to change the connection.
            SourceUnavailableError: The database cannot be reached.
        """

    def stop(self) -> None:
        """End the query that is running. Safe to call from a signal handler."""
