"""Rejected rows on a page: read from the report's CSV, within bounds on bytes, rows and time."""

from __future__ import annotations

import csv
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_cio.plugin.advice import Advice, advice_for

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A report of 4 MB has some 20,000 rows, and is parsed in a fifth of a second. The download has all of it.
_MOST_BYTES = 4_000_000
_MOST_ROWS = 50_000
_MOST_SECONDS = 3.0
#: As many rows as a person reads on a page.
_SHOWN_ROWS = 100
#: More groups than this are one mistake with a changing name, not many mistakes.
_SHOWN_GROUPS = 50
_CHUNK_BYTES = 64_000
#: A cell is shown up to this length; the download has all of it.
_LONGEST_CELL = 200
_HEADER = ["query", "row", "identifier", "field", "reason", "message"]


@dataclass(frozen=True)
class RejectedRow:
    """A row of the report, and the value of the column that is at fault."""

    query: str
    row: str
    identifier: str
    field: str
    reason: str
    message: str
    value: str

    def matches(self, words: list[str]) -> bool:
        """Whether the row contains each of some lower-case words."""
        cells = (self.query, self.row, self.identifier, self.field, self.reason, self.message, self.value)
        text = "\n".join(cells).lower()
        return all(word in text for word in words)


@dataclass(frozen=True)
class Group:
    """Rejections with the same query, field and reason."""

    query: str
    field: str
    reason: str
    count: int
    message: str

    @property
    def advice(self) -> Advice:
        """What to do about them."""
        return advice_for(self.reason)


@dataclass(frozen=True)
class Rejections:
    """What a page shows of a report.

    Args:
        groups: Rejections by query, field and reason, the largest group first.
        rows: The first rows that match the search.
        matching: How many rows match the search.
        counted: How many rows were read.
        complete: Whether the whole report was read.
    """

    groups: list[Group] = field(default_factory=list)
    rows: list[RejectedRow] = field(default_factory=list)
    matching: int = 0
    counted: int = 0
    complete: bool = True


def read_rejections(file: BinaryIO, search: str = "") -> Rejections:
    """Read a report.

    Args:
        file: The CSV.
        search: Words that each row on the page must contain.
    """
    lines = _Lines(file)
    reader = csv.reader(lines)
    words = search.lower().split()
    counts: Counter[tuple[str, str, str]] = Counter()
    messages: dict[tuple[str, str, str], str] = {}
    rows: list[RejectedRow] = []
    matching = counted = 0
    complete = True
    try:
        header = next(reader, [])
        if header[: len(_HEADER)] != _HEADER:
            return Rejections()
        columns = {name: number for number, name in enumerate(header) if number >= len(_HEADER)}
        for cells in reader:
            if counted >= _MOST_ROWS:
                complete = False
                break
            if len(cells) < len(_HEADER):
                continue
            row = _row(cells, columns)
            counted += 1
            key = row.query, row.field, row.reason
            counts[key] += 1
            messages.setdefault(key, row.message)
            if not words or row.matches(words):
                matching += 1
                if len(rows) < _SHOWN_ROWS:
                    rows.append(row)
    except csv.Error:  # a cell beyond the csv module's limit, or a damaged file
        complete = False
    groups = [
        Group(*key, count=count, message=messages[key]) for key, count in counts.most_common(_SHOWN_GROUPS)
    ]
    return Rejections(groups, rows, matching, counted, complete and not lines.cut)


def _row(cells: list[str], columns: dict[str, int]) -> RejectedRow:
    field_path = cells[3]
    number = columns.get(field_path) or columns.get(field_path.rpartition(".")[2])
    value = cells[number] if number is not None and number < len(cells) else ""
    return RejectedRow(*(_short(cell) for cell in (*cells[: len(_HEADER)], value)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


class _Lines:
    """The lines of a file, until the bounds are reached.

    Args:
        file: The file.

    Attributes:
        cut: Whether the file goes on beyond the bounds.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.cut = False
        self._file = file

    def __iter__(self) -> Iterator[str]:
        until = time.monotonic() + _MOST_SECONDS
        read = 0
        rest = b""
        while chunk := self._file.read(_CHUNK_BYTES):
            read += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield f"{line.decode(errors='replace')}\n"
            if read >= _MOST_BYTES or time.monotonic() > until:
                self.cut = bool(self._file.read(1)) or bool(rest)
                return
        if rest:
            yield rest.decode(errors="replace")
