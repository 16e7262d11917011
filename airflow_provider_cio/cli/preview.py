"""What ``airflow customerio preview`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from airflow_provider_cio.engine.value_text import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from airflow_provider_cio.engine.preview import Preview
    from airflow_provider_cio.engine.sources import Column

#: How many operations are shown as they would be sent.
_OPERATIONS = 3
#: The longest a value is shown.
_CHARACTERS = 40


def show(seen: Preview, out: Console) -> None:
    """Show one query: its columns, its first rows, the first operations, and what would be refused."""
    out.rule(f"[bold]{seen.query}")
    _show_columns(seen.columns, out)
    _show_rows(seen, out)
    for warning in seen.warnings:
        out.print(escape(f"Warning: {warning}"), style="yellow")
    if seen.problem:
        out.print(escape(seen.problem), style="red")
        return
    out.print(f"\n[bold]The first operations[/] of {len(seen.operations)}, as they would be sent")
    for operation in seen.operations[:_OPERATIONS]:
        out.print(Syntax(msgspec.json.format(operation.body).decode(), "json", background_color="default"))
    _show_rejections(seen, out)


def _show_columns(columns: Sequence[Column], out: Console) -> None:
    table = Table("column", "type", title=f"{len(columns)} columns", title_justify="left", box=None)
    for column in columns:
        table.add_row(escape(column.name), escape(column.declared_type))
    out.print(table)


def _show_rows(seen: Preview, out: Console) -> None:
    """Show the rows in as many tables as the width asks for, each with the number of the row."""
    texts = [[_text(value) for value in row] for row in seen.rows]
    widths = [
        max(len(column.name), *(len(row[place]) for row in texts), 0) + 3
        for place, column in enumerate(seen.columns)
    ]
    title = f"\nThe first {len(texts)} rows" if texts else "\nNo rows"
    for places in _fitting(widths, out.width - len(str(len(texts))) - 4):
        table = Table("", title=title, title_justify="left", box=None)
        for place in places:
            table.add_column(escape(seen.columns[place].name), no_wrap=True)
        for number, row in enumerate(texts, 1):
            table.add_row(str(number), *(escape(row[place]) for place in places))
        out.print(table)
        title = ""


def _fitting(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Group the places of columns so that each group is no wider than this."""
    group: list[int] = []
    for place in range(len(widths)):
        if group and sum(widths[other] for other in [*group, place]) > width:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _text(value: Any) -> str:
    """Write a value as a report does, in one short line."""
    text = "NULL" if value is None else value_text(value).replace("\n", "⏎")
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"


def _show_rejections(seen: Preview, out: Console) -> None:
    if not seen.rejections:
        out.print("\nNone of these rows would be refused before it is sent.")
        return
    table = Table("row", "identifier", "field", "reason", "message", title_justify="left", box=None)
    table.title = f"\n{len(seen.rejections)} of these rows would be refused"
    for rejection in seen.rejections:
        texts = (rejection.identifier, rejection.field, rejection.reason, rejection.message)
        table.add_row(str(rejection.row_index), *map(escape, texts))
    out.print(table)
