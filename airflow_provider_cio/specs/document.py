"""A YAML file of a spec folder: its content, and the position of each key and value."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from airflow_provider_cio.specs import reader
from airflow_provider_cio.specs.files import UnreadableError, read_text
from airflow_provider_cio.specs.problems import URI_WITH_PASSWORD, Position, SpecError, SpecProblem, cut
from airflow_provider_cio.specs.templates import LINES
from airflow_provider_cio.specs.yaml_errors import YAML_LINES, NotYamlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Keys whose values are never displayed, because an argument of a notifier can be a token.
NOTIFIERS = ("on_success", "on_failure", "on_skipped")

#: The known keys, each with the keys of its mapping if its value is a mapping.
Keys: TypeAlias = "Mapping[str, Keys | None]"

_BLOCK = re.compile(r"[|>][0-9+-]*")


class Document:
    """A YAML file that holds a mapping.

    Args:
        path: The file.
        root: The folder in which it must be, without links in its path.
        keys: The keys whose lines can be displayed.

    Attributes:
        path: The file.
        content: Its values. Keys are texts, as they are written.
        problems: Keys that occur twice in a mapping.

    Raises:
        SpecError: The file cannot be read, or is not a mapping.
    """

    def __init__(self, path: Path, root: str, keys: Keys) -> None:
        self.path = path
        self._keys = keys
        try:
            self._text = read_text(path, root)
            content, self._marks, repeated = reader.read(self._text, NOTIFIERS)
        except UnreadableError as error:
            raise SpecError([SpecProblem(path, 1, 1, f"cannot be read: {error}")]) from None
        except NotYamlError as error:
            raise SpecError([SpecProblem(path, error.line, error.column, str(error))]) from None
        if content is not None and not isinstance(content, dict):
            raise SpecError(
                [SpecProblem(path, 1, 1, "must be a mapping of keys, such as workspace, to values")]
            )
        self.content: dict[str, Any] = {} if content is None else content
        # The first value of a repeated key is not in the content, and can be secret.
        self._shows_lines = not repeated
        self.problems = [
            self.problem(
                _position(event),
                f"{name} occurs twice, and YAML would ignore the first: remove one of the two",
            )
            for event, private in repeated
            for name in ("a key" if private else cut(event.value),)
        ]

    def problem(self, position: Position, message: str) -> SpecProblem:
        """Return a problem at a position."""
        return SpecProblem(
            self.path,
            position.line,
            position.column,
            message,
            self._public_line(position.line),
            position.length,
        )

    def key(self, location: Sequence[int | str]) -> Position:
        """Return the position of a key, or of the mapping that should have the key."""
        return self._find(location)[0]

    def value(self, location: Sequence[int | str]) -> Position:
        """Return the position of a value, or of the mapping that should have its key."""
        position, event = self._find(location)
        return _position(event) if event and event.start_mark.line + 1 >= position.line else position

    def written(self, location: Sequence[int | str]) -> str:
        """Return a value as it is written; empty if it is not a scalar."""
        event = self._find(location)[1]
        return event.value if isinstance(event, yaml.ScalarEvent) else ""

    def position_in_text(
        self, location: Sequence[int | str], line: int, column: int, length: int
    ) -> Position:
        """Return a position in a text, given the line and the column in the text itself."""
        event = self._find(location)[1]
        if not event or type(event) is not yaml.ScalarEvent:
            return self.value(location)
        number = int(_position(event).line) - 1 + line + (event.style == "|")
        found = self._line(number).find(LINES(event.value)[line - 1])
        if found < 0:  # folded and quoted texts can have other lines than the file
            return self.value(location)
        return Position(number, found + column, length)

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if number <= len(self._lines) else ""

    @cached_property
    def _lines(self) -> list[str]:
        return YAML_LINES.split(self._text)

    def _find(self, location: Sequence[int | str]) -> tuple[Position, reader.Event | None]:
        """Return the position of a key, and the event of its value."""
        position, event, content = Position(1, 1, 1), None, self.content
        for step in location:
            mark = self._marks.get(id(content), {}).get(step)
            if not mark:
                break
            position, event, content = _position(mark.key), mark.value, content[step]  # type: ignore[index]
        return position, event

    def _public_line(self, number: int) -> str:
        """Return a line up to the end of its known values; empty if it can hold a secret."""
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
        """Return the column where a value ends on a line. A comment can follow."""
        if number == event.start_mark.line + 1 and getattr(event, "style", None) in ("|", ">"):
            found = _BLOCK.match(self._line(number), event.start_mark.column)
            return found.end() if found else event.start_mark.column
        on_last_line = event.end_mark.line + 1 == number
        return int(event.end_mark.column) if on_last_line else len(self._line(number))

    @cached_property
    def _events(self) -> list[tuple[reader.Event, bool]]:
        return list(self._walk(self.content, self._keys))

    def _walk(self, content: Any, keys: Keys | None) -> Iterator[tuple[reader.Event, bool]]:
        """Yield the events of keys and values, each with whether it can be displayed.

        Only the values of known keys can be displayed.
        """
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
    """Return the last line of a value. The end mark of a block is the start of the next line."""
    end = event.end_mark
    return int(end.line + 1 if end.column or end.line == event.start_mark.line else end.line)


def _position(event: reader.Event) -> Position:
    start, end = event.start_mark, event.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Position(start.line + 1, start.column + 1, max(length, 1))
