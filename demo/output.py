"""The output of the demo: a spinner and check marks in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

_console = Console(soft_wrap=True, highlight=False)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show a step while the block runs, and its duration afterwards."""
    if not _console.is_terminal:
        _console.print(f"… {escape(what)}")
    started = time.monotonic()
    with _console.status(escape(what)) if _console.is_terminal else nullcontext():
        yield
    _console.print(f"[green]✓[/] {escape(what)} [dim]({time.monotonic() - started:.1f} s)[/]")


def show_line(text: str = "") -> None:
    """Show an indented line."""
    _console.print(f"  {escape(text)}" if text else "")


def show_title(text: str) -> None:
    """Show a heading."""
    _console.print(f"\n[bold]{escape(text)}[/]")


def show_status(status: str, text: str, *, good: bool) -> None:
    """Show the status of a run and a text beside it."""
    _console.print(f"  [bold {'green' if good else 'yellow'}]{escape(status)}[/]: {escape(text)}")


def show_error(text: str) -> None:
    """Show an error message."""
    _console.print(f"[bold red]✗[/] {escape(text)}")
