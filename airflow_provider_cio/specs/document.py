"""A YAML file of a spec folder: what it says, and where it says it."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import yaml

from airflow_provider_cio.specs import reader
from airflow_provider_cio.specs.files import UnreadableError, read_text
from airflow_provider_cio.specs.problems import URI_WITH_PASSWORD, SpecError, SpecProblem, cut
from airflow_provider_cio.specs.templates import LINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Keys whose values are shown nowhere: a notifier may be given a token.
NOTIFIERS = ("on_success", "on_failure", "on_skipped")

#: The keys that are known, each with the keys of its mapping, if its value is one.
Keys: TypeAlias = "Mapping[str, Keys | None]"

_BLOCK = re.compile(r"[|>][0-9+-]*")


class Place(NamedTuple):
    """Where something is: line and column from 1, and how many characters of the line it has."""

    line: int
    column: int
    length: int


class Document:
    """A YAML file that holds a mapping.

    Args:
        path: The file.
        root: The folder in which it has to be, without links in its path.
        keys: The keys whose lines may be shown.

    Attributes:
        path: The file.
        content: What it says; keys are texts, as they are written.
        faults: Keys that it has twice.

    Raises:
        SpecError: It cannot be read, or is not a mapping.
    """

    def __init__(self, path: Path, root: str, keys: Keys) -> None:
        self.path = path
        self._keys = keys
        try:
            self._text = read_text(path, root)
            content, self._marks, repeated = reader.read(self._text, NOTIFIERS)
        except UnreadableError as error:
            raise SpecError([SpecProblem(path, 1, 1, f"cannot be read: {error}")]) from None
        except reader.NotYamlError as error:
            raise SpecError([SpecProblem(path, error.line, error.column, str(error))]) from None
        if content is not None and not isinstance(content, dict):
            raise SpecError(
                [SpecProblem(path, 1, 1, "has to be a mapping of keys, such as workspace, to values")]
            )
        self.content: dict[str, Any] = {} if content is None else content
        # What a repeated key had first is not in the content, and might be secret.
        self._shows_lines = not repeated
        self.faults = [
            self.fault(_place(event), f"{name} is here twice: YAML would take the last one only")
            for event, private in repeated
            for name in ("a key" if private else cut(event.value),)
        ]

    def fault(self, place: Place, message: str) -> SpecProblem:
        """Say what is wrong at a place."""
        return SpecProblem(
            self.path, place.line, place.column, message, self._shown(place.line), place.length
        )

    def key(self, location: Sequence[int | str]) -> Place:
        """Find a key, or what should have held it."""
        return self._find(location)[0]

    def value(self, location: Sequence[int | str]) -> Place:
        """Find a key's value, or what should have held it."""
        place, event = self._find(location)
        return _place(event) if event and event.start_mark.line + 1 >= place.line else place

    def written(self, location: Sequence[int | str]) -> str:
        """Give a value as it is written, empty when it is not a scalar."""
        event = self._find(location)[1]
        return event.value if isinstance(event, yaml.ScalarEvent) else ""

    def within(self, location: Sequence[int | str], line: int, column: int, length: int) -> Place:
        """Find a place in a text, from its own lines and columns."""
        event = self._find(location)[1]
        if not event or type(event) is not yaml.ScalarEvent:
            return self.value(location)
        number = int(_place(event).line) - 1 + line + (event.style == "|")
        found = self._line(number).find(LINES(event.value)[line - 1])
        if found < 0:  # folded and quoted texts may have other lines than the file
            return self.value(location)
        return Place(number, found + column, length)

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if number <= len(self._lines) else ""

    @cached_property
    def _lines(self) -> list[str]:
        return reader.LINES.split(self._text)

    def _find(self, location: Sequence[int | str]) -> tuple[Place, reader.Event | None]:
        """Find the place of a key, and the event of its value."""
        place, event, content = Place(1, 1, 1), None, self.content
        for step in location:
            mark = self._marks.get(id(content), {}).get(step)
            if not mark:
                break
            place, event, content = _place(mark.key), mark.value, content[step]  # type: ignore[index]
        return place, event

    def _shown(self, number: int) -> str:
        """Give a line as far as values of known keys go, empty where it may hold a secret."""
        if not self._shows_lines or URI_WITH_PASSWORD(self._line(number)):
            return ""
        end = 0
        for event, public in self._events:
            first, last = event.start_mark.line + 1, _last_line(event)
            if not first <= number <= last:
                continue
            if not public:
                return ""
            end = max(end, self._end_on(event, number))
        return self._line(number)[:end]

    def _end_on(self, event: reader.Event, number: int) -> int:
        """Find the column after which a line has nothing of a value; what follows may be a comment."""
        if number == event.start_mark.line + 1 and getattr(event, "style", None) in ("|", ">"):
            found = _BLOCK.match(self._line(number), event.start_mark.column)
            return found.end() if found else event.start_mark.column
        on_last_line = event.end_mark.line + 1 == number
        return int(event.end_mark.column) if on_last_line else len(self._line(number))

    @cached_property
    def _events(self) -> list[tuple[reader.Event, bool]]:
        return list(self._walk(self.content, self._keys))

    def _walk(self, content: Any, keys: Keys | None) -> Iterator[tuple[reader.Event, bool]]:
        """List keys and values, each with whether it may be shown: only what a known key takes may."""
        for step, mark in self._marks.get(id(content), {}).items():
            value = content[step]
            known = isinstance(content, list) or (keys is not None and step in keys)
            inner = keys.get(step) if keys and isinstance(content, dict) else None
            if isinstance(value, dict):
                known = known and inner is not None
            elif isinstance(value, list):
                known = known and inner is None and not any(isinstance(each, dict | list) for each in value)
            else:
                known = known and inner is None
            for event in {id(mark.key): mark.key, id(mark.value): mark.value}.values():
                yield event, known
            if isinstance(value, dict | list):
                for event, public in self._walk(value, inner):
                    yield event, public and known


def _last_line(event: reader.Event) -> int:
    """Give the last line of a value; the mark behind a block is the begin of the next line."""
    end = event.end_mark
    return int(end.line + 1 if end.column or end.line == event.start_mark.line else end.line)


def _place(event: reader.Event) -> Place:
    start, end = event.start_mark, event.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(length, 1))
