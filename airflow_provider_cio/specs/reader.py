"""YAML becomes values, event by event and within bounds, so that no file costs more than its length is worth.

PyYAML's own composer recurses in C, which ends the process where a file is nested deeply, and its merge keys
multiply. Here nothing recurses, and whatever an alias repeats counts again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import yaml

from airflow_provider_cio.specs.problems import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Container

#: A spec is nested 6 deep; what comes after us, such as JSON encoders, recurses and ends at some hundreds.
MAX_DEPTH = 100
#: Keys and values, with those that aliases repeat. A spec has fewer than 100; this many take 0.1 s.
MAX_NODES = 20_000
#: The largest number or time that anything here takes has 32 characters; converting long ones is quadratic.
_MAX_NUMBER = 100
#: libyaml compares each with all before it. Nothing here needs one.
_MAX_DIRECTIVES = 10

_PREFIX = "tag:yaml.org,2002:"
_CORE = {_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp")}
_TEXT = _PREFIX + "str"
_RESOLVERS = yaml.CSafeLoader.yaml_implicit_resolvers
_COLLECTIONS = {None, "!", _PREFIX + "map", _PREFIX + "seq"}
_MERGE = "<<"
#: The characters that YAML may have.
_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: What YAML takes for the end of a line.
LINES = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


#: An event of PyYAML, whose types say that it may have no place; each has one.
Event: TypeAlias = Any


class NotYamlError(Exception):
    """A file is not YAML, or not YAML that a spec may have.

    Args:
        message: What is wrong; it never quotes the file.
        line: Its line, from 1.
        column: Its column, from 1.
    """

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Mark(NamedTuple):
    """Where an entry of a mapping or a list is: the event of its key, in a list its own, and of its value."""

    key: Event
    value: Event


class Content(NamedTuple):
    """What a file says.

    Args:
        value: Dicts, lists and scalars.
        marks: Where the entries of each dict and list are, by its `id`.
        repeated: Keys that a mapping has twice, each with whether it may hold a secret.
    """

    value: Any
    marks: dict[int, dict[Any, Mark]]
    repeated: list[tuple[Event, bool]]


@dataclass(slots=True)
class _Frame:
    """A mapping or a list that is being read."""

    value: Any
    event: Event
    marks: dict[Any, Mark]
    anchors: dict[str, _Anchored]
    key: Event | None = None
    size: int = 1
    height: int = 1
    merged: list[Any] = field(default_factory=list)


class _Anchored(NamedTuple):
    """A value that aliases may repeat; None as long as it is being read."""

    value: Any
    size: int
    height: int


def read(text: str, private: Container[str]) -> Content:
    """Read a YAML file of one document.

    Args:
        text: The file.
        private: Keys of the top level whose values are secret. Anchors there are not known elsewhere, nor
            those from elsewhere there, so that no alias can carry a secret to where it is shown.

    Raises:
        NotYamlError: It is not YAML, or exceeds a bound.
    """
    if text.count("\n%TAG") > _MAX_DIRECTIVES:
        raise NotYamlError(f"has more than {_MAX_DIRECTIVES} %TAG directives: a spec needs none")
    try:
        return _Reader(text, private).read()
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(error, text) from None
    except yaml.YAMLError:
        raise _unprintable(text) from None


class _Reader:
    def __init__(self, text: str, private: Container[str]) -> None:
        self._parser = yaml.CSafeLoader(text)
        self._private = private
        self._stack: list[_Frame] = []
        self._root: Any = None
        self._nodes = 0
        self._marks: dict[int, dict[Any, Mark]] = {}
        self._repeated: list[tuple[Event, bool]] = []
        self._open: dict[str, _Anchored] = {}
        self._secret: dict[str, _Anchored] = {}

    def read(self) -> Content:
        documents = 0
        next_event: Callable[[], Event] = self._parser.get_event
        while not isinstance(event := next_event(), yaml.StreamEndEvent):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._start(event, {})
            elif kind is yaml.SequenceStartEvent:
                self._start(event, [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise _at(event, "has a second document: one file defines one sync")
        return Content(self._root, self._marks, self._repeated)

    def _scalar(self, event: Event) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame and frame.key is None and type(frame.value) is dict:
            self._count(event, 1)
            self._key(event, frame)
            return
        scalar = _Anchored(self._value(event), 1, 0)
        if event.anchor and frame:
            self._anchors(frame)[event.anchor] = scalar
        self._add(event, scalar)

    def _key(self, event: Event, frame: _Frame) -> None:
        if event.anchor or event.tag not in (None, "!", _TEXT):
            raise _at(event, "a key has to be a text, without an anchor or a tag")
        if _is_merge(event):
            if len(self._stack) == 1:
                raise _at(event, "a spec cannot begin with << : put shared keys into defaults.yaml")
        elif event.value in frame.value:
            self._repeated.append((event, self._is_private()))
        frame.key = event

    def _is_private(self) -> bool:
        top = self._stack[0].key
        return top is not None and top.value in self._private

    def _anchors(self, frame: _Frame) -> dict[str, _Anchored]:
        """Give the anchors that are known to the value that comes next in a mapping or list."""
        if frame is self._stack[0] and frame.key is not None:
            return self._secret if frame.key.value in self._private else self._open
        return frame.anchors

    def _start(self, event: Event, value: Any) -> None:
        if event.tag not in _COLLECTIONS:
            raise _at(event, "a tag, such as !!set, is not allowed: write a plain mapping or list")
        anchors = self._open
        if self._stack:
            frame = self._stack[-1]
            if frame.key is None and type(frame.value) is dict:
                raise _at(event, "a key has to be a text, not a mapping or a list")
            anchors = self._anchors(frame)
        marks = self._marks[id(value)] = {}
        if event.anchor:
            anchors[event.anchor] = _Anchored(None, 0, 0)
        self._count(event, 1)
        self._stack.append(_Frame(value, event, marks, anchors))
        if len(self._stack) > MAX_DEPTH:
            raise _at(event, f"is nested more than {MAX_DEPTH} deep: a spec needs fewer than 10")

    def _end(self) -> None:
        frame = self._stack.pop()
        for merged in frame.merged:
            self._merge(frame, merged)
        done = _Anchored(frame.value, frame.size, frame.height)
        anchors = frame.anchors
        if frame.event.anchor:
            anchors[frame.event.anchor] = done
        if self._stack:
            self._put(self._stack[-1], frame.event, done)
        else:
            self._root = frame.value

    def _merge(self, frame: _Frame, merged: Any) -> None:
        """Add what a merge key gives and the mapping itself does not say."""
        for each in merged if isinstance(merged, list) else [merged]:
            if not isinstance(each, dict):
                raise _at(frame.event, "<< in this mapping needs a mapping, or a list of mappings")
            self._count(frame.event, len(each))
            frame.size += len(each)
            marks = self._marks[id(each)]
            for key, value in each.items():
                if key not in frame.value:
                    frame.value[key] = value
                    frame.marks[key] = marks[key]

    def _alias(self, event: Event) -> None:
        frame = self._stack[-1] if self._stack else None
        if not frame or (frame.key is None and type(frame.value) is dict):
            raise _at(event, "an alias cannot be a key: write the key itself")
        anchored = self._anchors(frame).get(event.anchor)
        if anchored is None:
            raise _at(
                event,
                "this alias has no anchor above it. Arguments of notifiers may be secret, so that they share"
                " anchors only with other notifiers; a text that begins with * needs quotes",
            )
        if not anchored.size:
            raise _at(event, "this alias stands inside of what it repeats")
        if len(self._stack) + anchored.height > MAX_DEPTH:
            raise _at(event, f"is nested more than {MAX_DEPTH} deep by this alias")
        self._add(event, anchored)

    def _add(self, event: Event, anchored: _Anchored) -> None:
        self._count(event, anchored.size)
        if self._stack:
            self._put(self._stack[-1], event, anchored)
        else:
            self._root = anchored.value

    @staticmethod
    def _put(frame: _Frame, event: Event, anchored: _Anchored) -> None:
        frame.size += anchored.size
        frame.height = max(frame.height, anchored.height + 1)
        if type(frame.value) is list:
            frame.marks[len(frame.value)] = Mark(event, event)
            frame.value.append(anchored.value)
            return
        key = frame.key
        frame.key = None
        if key is None:
            return
        if _is_merge(key):
            frame.merged.append(anchored.value)
            return
        frame.value[key.value] = anchored.value
        frame.marks[key.value] = Mark(key, event)

    def _count(self, event: Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _at(event, f"has more than {MAX_NODES:,} keys and values: a spec has fewer than 100")

    def _value(self, event: Event) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = _implicit_tag(event.value) if event.implicit[0] else None
            if tag not in _CORE:  # in quotes, or = and <<, which have a meaning as keys only
                return event.value
        elif tag not in _CORE:
            raise _at(event, "a tag, such as !!binary, is not allowed: write the value itself")
        if tag == _TEXT:
            return event.value
        if len(event.value) > _MAX_NUMBER:
            raise _at(event, f"is a number of more than {_MAX_NUMBER} characters: put a text into quotes")
        try:
            return self._parser.construct_object(yaml.ScalarNode(tag, event.value))
        except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, TypeError):
            kind = tag.removeprefix(_PREFIX)
            raise _at(event, f"is not a valid {kind}: put a text into quotes") from None


def _implicit_tag(text: str) -> str:
    """Find what YAML takes a text without quotes for, as PyYAML does."""
    for tag, matches in _RESOLVERS.get(text[:1], ()):
        if matches.match(text):
            return str(tag)
    return _TEXT


def _is_merge(key: Event) -> bool:
    return bool(key.value == _MERGE and key.implicit[0])


def _at(event: Event, message: str) -> NotYamlError:
    return NotYamlError(message, event.start_mark.line + 1, event.start_mark.column + 1)


def _no_yaml(error: Any, text: str) -> NotYamlError:
    """Say in plain words why a file is not YAML. libyaml's own words are fixed ones and quote nothing."""
    mark = error.problem_mark or error.context_mark
    number, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = LINES.split(text)
    line = lines[number - 1] if number <= len(lines) else ""
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    if "\t" in indent:
        return NotYamlError("is indented with a tab: YAML needs spaces", number, indent.index("\t") + 1)
    if star := re.search(r":[ \t]+\*", line):
        message = 'a text that begins with * needs quotes, such as "*/30 * * * *"'
        return NotYamlError(message, number, star.end())
    if error.problem and "mapping values are not allowed" in error.problem:
        message = 'is not YAML: a text with ": " in it needs quotes, or the line above is not finished'
        return NotYamlError(message, number, column)
    return NotYamlError(f"is not YAML: {cut(error.problem or 'the file cannot be read')}", number, column)


def _unprintable(text: str) -> NotYamlError:
    """Find the character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if not found:
        return NotYamlError("is not YAML: its characters cannot be read")
    lines = LINES.split(text[: found.start()])
    message = f"has the character U+{ord(found.group()):04X}, which YAML does not allow"
    return NotYamlError(message, len(lines), len(lines[-1]) + 1)
