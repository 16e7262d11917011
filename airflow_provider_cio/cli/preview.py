"""The output of ``airflow customerio preview``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from airflow_provider_cio.engine.value_text import value_text
from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from airflow_provider_cio.engine.preview import Preview
    from airflow_provider_cio.engine.sources import Column

#: The number of operations that are printed.
_OPERATIONS = 3
#: A longer value is cut.
_CHARACTERS = 40
#: More rows do not help a reader, and all of them are kept in memory.
MAX_ROWS = 10_000


@dataclass(frozen=True)
class Layout:
    """How rows are printed.

    Args:
        columns: The names of the columns to print; None for all.
        narrow: Whether each value has a line of its own.
    """

    columns: frozenset[str] | None = None
    narrow: bool = False

    @classmethod
    def of(cls, previews: Sequence[Preview], columns: str | None, *, narrow: bool) -> Layout:
        """Return the layout that the flags of the command describe.

        Raises:
            ConfigurationError: No query has one of the columns.
        """
        if columns is None:
            return cls(None, narrow)
        names = frozenset(name.strip() for name in columns.split(","))
        known = list(dict.fromkeys(column.name for query in previews for column in query.columns))
        if unknown := sorted(names - set(known)):
            raise ConfigurationError(
                f"No query has the column {unknown[0]} (--columns). The columns are {', '.join(known)}."
            )
        return cls(names, narrow)

    def indexes(self, preview: Preview) -> list[int]:
        """Return the indexes of the columns to print."""
        return [
            column_index
            for column_index, column in enumerate(preview.columns)
            if self.columns is None or column.name in self.columns
        ]


def print_preview(preview: Preview, layout: Layout, out: Console) -> None:
    """Print one query: its columns, first rows, first operations, and the rows that would be refused."""
    out.rule(f"[bold]{preview.query}")
    _print_columns(preview.columns, out)
    _print_counts(preview, out)
    (_print_values if layout.narrow else _print_rows)(preview, layout.indexes(preview), out)
    for warning in preview.warnings:
        out.print(escape(f"Warning: {warning}"), style="yellow")
    if preview.problem:
        out.print(escape(preview.problem), style="red")
        return
    out.print(f"\n[bold]The first operations[/] of {len(preview.operations)}, as they would be sent")
    for operation in preview.operations[:_OPERATIONS]:
        out.print(Syntax(msgspec.json.format(operation.body).decode(), "json", background_color="default"))
    _print_rejections(preview, out)


def _print_columns(columns: Sequence[Column], out: Console) -> None:
    table = Table("column", "type", title=f"{len(columns)} columns", title_justify="left", box=None)
    for column in columns:
        table.add_row(escape(column.name), escape(column.declared_type))
    out.print(table)


def _print_counts(preview: Preview, out: Console) -> None:
    if preview.selected is None or preview.total is None:
        return
    total = f"{preview.total:,} row{'' if preview.total == 1 else 's'}"
    if preview.selected == preview.total:
        out.print(f"\nThe query selects {total}.")
    else:
        out.print(f"\nThe query has {total}. The last sync time selects {preview.selected:,} of them.")


def _print_values(preview: Preview, column_indexes: Sequence[int], out: Console) -> None:
    """Print each value on a line, with the name of its column."""
    for row_index, row in enumerate(preview.rows, 1):
        out.print(f"\n[bold]Row {row_index}")
        table = Table(show_header=False, box=None)
        for column_index in column_indexes:
            table.add_row(escape(preview.columns[column_index].name), escape(_text(row[column_index])))
        out.print(table)


def _print_rows(preview: Preview, visible: Sequence[int], out: Console) -> None:
    """Print the rows in as many tables as the width needs. Each table has the row indexes."""
    texts = [[_text(value) for value in row] for row in preview.rows]
    widths = [
        max(len(column.name), *(len(row[column_index]) for row in texts), 0) + 3
        for column_index, column in enumerate(preview.columns)
    ]
    title = f"\nThe first {len(texts)} rows" if texts else "\nNo rows"
    for column_indexes in _groups(visible, widths, out.width - len(str(len(texts))) - 4):
        table = Table("", title=title, title_justify="left", box=None)
        for column_index in column_indexes:
            table.add_column(escape(preview.columns[column_index].name), no_wrap=True)
        for row_index, row in enumerate(texts, 1):
            table.add_row(str(row_index), *(escape(row[column_index]) for column_index in column_indexes))
        out.print(table)
        title = ""


def _groups(visible: Sequence[int], widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Group the indexes of columns so that no group is wider than a terminal."""
    group: list[int] = []
    for column_index in visible:
        if group and sum(widths[other] for other in [*group, column_index]) > width:
            yield group
            group = []
        group.append(column_index)
    if group:
        yield group


def _text(value: Any) -> str:
    """Write a value as a report does, on one short line."""
    text = "NULL" if value is None else value_text(value).replace("\n", "⏎")
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"


def _print_rejections(preview: Preview, out: Console) -> None:
    if not preview.rejections:
        out.print("\nAll of these rows can be sent.")
        return
    table = Table("row", "identifier", "field", "reason", "message", title_justify="left", box=None)
    table.title = f"\n{len(preview.rejections)} of these rows would be refused"
    for rejection in preview.rejections:
        texts = (rejection.identifier, rejection.field, rejection.reason, rejection.message)
        table.add_row(str(rejection.row_index), *map(escape, texts))
    out.print(table)
