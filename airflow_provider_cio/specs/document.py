"""A YAML file: what it says, and where it says it."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from airflow_provider_cio.specs.faults import Fault, SpecError
from airflow_provider_cio.specs.templates import LINES

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


class Place(NamedTuple):
    """Where something is: line and column from 1, and how many characters of the line it has."""

    line: int
    column: int
    length: int


class Document:
    """A YAML file that holds a mapping.

    Attributes:
        path: The file.
        content: What it says; keys are texts, as they are written.
        faults: Keys that it has twice.

    Raises:
        SpecError: It cannot be read, or is no mapping.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = ""
        try:
            self._text = path.read_text(encoding="utf-8")
            loader = _Loader(self._text)
            content = loader.get_single_data()
        except yaml.MarkedYAMLError as error:
            raise SpecError([self._no_yaml(error)]) from None
        except (
            OSError,
            yaml.YAMLError,
            ValueError,
        ) as error:  # a control character, a day that does not exist
            raise SpecError([Fault(path, 1, 1, f"cannot be read: {_sentence(error)}")]) from None
        if content is not None and not isinstance(content, dict):
            raise SpecError([Fault(path, 1, 1, "has to be a mapping of keys, such as workspace, to values")])
        self.content: dict[str, Any] = content or {}
        self.faults = [
            self.fault(_place(node), f"{node.value} is here twice: YAML would take the last one only")
            for node in loader.repeated
        ]

    def fault(self, place: Place, message: str) -> Fault:
        """Say what is wrong at a place."""
        return Fault(self.path, place.line, place.column, message, self._line(place.line), place.length)

    def key(self, location: Sequence[int | str]) -> Place:
        """Find a key, or what should have held it."""
        return self._find(location)[0]

    def value(self, location: Sequence[int | str]) -> Place:
        """Find a key's value, or what should have held it."""
        place, node = self._find(location)
        return _place(node) if node and node.start_mark.line + 1 >= place.line else place

    def written(self, location: Sequence[int | str]) -> str:
        """Give a value as it is written, empty when it is none that fits a line."""
        node = self._find(location)[1]
        return node.value if isinstance(node, yaml.ScalarNode) else ""

    def within(self, location: Sequence[int | str], line: int, column: int, length: int) -> Place:
        """Find a place in a text, from its own lines and columns."""
        node = self._find(location)[1]
        if not isinstance(node, yaml.ScalarNode):
            return self.value(location)
        number = node.start_mark.line + line + (node.style == "|")
        found = self._line(number).find(LINES(node.value)[line - 1])
        if found < 0:  # folded and quoted texts may have other lines than the file
            return self.value(location)
        return Place(number, found + column, length)

    def _line(self, number: int) -> str:
        lines = self._text.splitlines()
        return lines[number - 1] if number <= len(lines) else ""

    @cached_property
    def _tree(self) -> yaml.Node | None:
        """The file once more, with places: only needed when something is wrong."""
        return yaml.compose(self._text, Loader=yaml.CSafeLoader)

    def _find(self, location: Sequence[int | str]) -> tuple[Place, yaml.Node | None]:
        place, node = Place(1, 1, 1), self._tree
        for step in location:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == step), None)
                if not found:
                    break
                place, node = _place(found[0]), found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
                place = _place(node)
            else:
                break
        return place, node

    def _no_yaml(self, error: yaml.MarkedYAMLError) -> Fault:
        """Say in plain words why the file is no YAML."""
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1, 1) if mark else Place(1, 1, 1)
        line = self._line(place.line)
        indent = re.match(r"\s*", line)
        if indent and "\t" in indent.group():
            place = Place(place.line, indent.group().index("\t") + 1, 1)
            return self.fault(place, "is indented with a tab: YAML wants spaces")
        if re.search(r":\s+\*", line):
            place = Place(place.line, line.index("*") + 1, 1)
            return self.fault(place, 'a text that begins with * needs quotes, such as "*/30 * * * *"')
        if error.problem and "mapping values are not allowed" in error.problem:
            message = 'is no YAML: a text with ": " in it needs quotes, or the line above is not finished'
            return self.fault(place, message)
        return self.fault(place, f"is no YAML: {error.problem}")


class _Loader(yaml.CSafeLoader):
    """Reads every key as the text that it is (`on` is no boolean here), and notes those that come twice."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[yaml.ScalarNode] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML has it so
        """Make a dict of a mapping."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = _TEXT
                if key.value in seen:
                    self.repeated.append(key)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _place(node: yaml.Node) -> Place:
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(length, 1))


def _sentence(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
