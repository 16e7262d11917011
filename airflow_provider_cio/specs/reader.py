"""Reads YAML event by event and within bounds, so that the cost of a file is linear in its length.

PyYAML's own composer recurses in C, so a deeply nested file would end the process, and its merge keys
multiply. Nothing recurses here, and the values that an alias repeats are counted again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import yaml

from airflow_provider_cio.specs.yaml_errors import NotYamlError, character_error, syntax_error

if TYPE_CHECKING:
    from collections.abc import Callable, Container

#: A spec is nested 6 levels deep. Later steps, such as JSON encoders, recurse and fail at some hundreds.
MAX_DEPTH = 100
#: The most keys and values, including repetitions by aliases. A spec has fewer than 100; 20,000 take 0.1 s.
MAX_NODES = 20_000
#: The longest number or time. The longest that a spec needs has 32 characters, and converting is quadratic.
_MAX_NUMBER = 100
#: libyaml compares each directive with all earlier ones. A spec needs none.
_MAX_DIRECTIVES = 10

_PREFIX = "tag:yaml.org,2002:"
_CORE = {_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp")}
_TEXT = _PREFIX + "str"
_RESOLVERS = yaml.CSafeLoader.yaml_implicit_resolvers
_COLLECTIONS = {None, "!", _PREFIX + "map", _PREFIX + "seq"}
_MERGE = "<<"

#: An event of PyYAML. Its type stubs allow events without a position, which do not occur.
Event: TypeAlias = Any


class Mark(NamedTuple):
    """The events of an entry of a mapping or a list. In a list, both are the event of the value."""

    key: Event
    value: Event


class Content(NamedTuple):
    """The content of a file.

    Args:
        value: Dicts, lists and scalars.
        marks: The marks of the entries of each dict and list, by its `id`.
        repeated: The keys that occur twice in a mapping, each with whether it can hold a secret.
    """

    value: Any
    marks: dict[int, dict[Any, Mark]]
    repeated: list[tuple[Event, bool]]


@dataclass(slots=True)
class _Frame:
    """A mapping or a list that is not read to its end yet."""

    value: Any
    event: Event
    marks: dict[Any, Mark]
    anchors: dict[str, _Anchored]
    key: Event | None = None
    size: int = 1
    height: int = 1
    merged: list[Any] = field(default_factory=list)


class _Anchored(NamedTuple):
    """A value that aliases can repeat. It has the size 0 until it is read to its end."""

    value: Any
    size: int
    height: int


def read(text: str, private: Container[str]) -> Content:
    """Read a YAML file of one document.

    Args:
        text: The text of the file.
        private: The top-level keys whose values are secret. They share no anchors with other keys, so that no
            alias can copy a secret into a value that is displayed.

    Raises:
        NotYamlError: The text is not YAML, or exceeds a bound.
    """
    if text.count("\n%TAG") > _MAX_DIRECTIVES:
        raise NotYamlError(f"has more than {_MAX_DIRECTIVES} %TAG directives: a spec needs none")
    try:
        return _Reader(text, private).read()
    except yaml.MarkedYAMLError as error:
        raise syntax_error(error, text) from None
    except yaml.YAMLError:
        raise character_error(text) from None


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
                    raise _at(event, "has a second document: put each sync into a file of its own")
        return Content(self._root, self._marks, self._repeated)

    def _scalar(self, event: Event) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame and frame.key is None and type(frame.value) is dict:
            self._count_nodes(event, 1)
            self._key(event, frame)
            return
        scalar = _Anchored(self._value(event), 1, 0)
        if event.anchor and frame:
            self._anchors(frame)[event.anchor] = scalar
        self._add(event, scalar)

    def _key(self, event: Event, frame: _Frame) -> None:
        if event.anchor or event.tag not in (None, "!", _TEXT):
            raise _at(event, "a key must be a text, without an anchor or a tag")
        if _is_merge(event):
            if len(self._stack) == 1:
                raise _at(event, "a spec cannot have << at the top level: put shared keys into defaults.yaml")
        elif event.value in frame.value:
            self._repeated.append((event, self._is_private()))
        frame.key = event

    def _is_private(self) -> bool:
        top = self._stack[0].key
        return top is not None and top.value in self._private

    def _anchors(self, frame: _Frame) -> dict[str, _Anchored]:
        """Return the anchors that the next value of a mapping or list can use."""
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
                raise _at(event, "a key must be a text, not a mapping or a list")
            anchors = self._anchors(frame)
        marks = self._marks[id(value)] = {}
        if event.anchor:
            anchors[event.anchor] = _Anchored(None, 0, 0)
        self._count_nodes(event, 1)
        self._stack.append(_Frame(value, event, marks, anchors))
        if len(self._stack) > MAX_DEPTH:
            raise _at(event, f"is nested more than {MAX_DEPTH} levels deep: a spec needs fewer than 10")

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
        """Add the entries of a merge key that the mapping does not have itself."""
        for each in merged if isinstance(merged, list) else [merged]:
            if not isinstance(each, dict):
                raise _at(frame.event, "<< in this mapping needs a mapping, or a list of mappings")
            self._count_nodes(frame.event, len(each))
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
                "this alias has no anchor above it. Arguments of notifiers can be secret, so they share"
                " anchors only with other notifiers. A text that begins with * needs quotes",
            )
        if not anchored.size:
            raise _at(event, "this alias is inside the value that it repeats: remove it")
        if len(self._stack) + anchored.height > MAX_DEPTH:
            raise _at(event, f"is nested more than {MAX_DEPTH} levels deep by this alias")
        self._add(event, anchored)

    def _add(self, event: Event, anchored: _Anchored) -> None:
        self._count_nodes(event, anchored.size)
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

    def _count_nodes(self, event: Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _at(event, f"has more than {MAX_NODES:,} keys and values: a spec has fewer than 100")

    def _value(self, event: Event) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = _implicit_tag(event.value) if event.implicit[0] else None
            if tag not in _CORE:  # in quotes, or = and <<, which have a meaning only as keys
                return event.value
        elif tag not in _CORE:
            raise _at(event, "a tag, such as !!binary, is not allowed: write the value itself")
        if tag == _TEXT:
            return event.value
        if len(event.value) > _MAX_NUMBER:
            raise _at(event, f"is a number of more than {_MAX_NUMBER} characters: put quotes around a text")
        try:
            return self._parser.construct_object(yaml.ScalarNode(tag, event.value))
        except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, TypeError):
            kind = tag.removeprefix(_PREFIX)
            raise _at(event, f"is not a valid {kind}: put quotes around a text") from None


def _implicit_tag(text: str) -> str:
    """Return the tag that YAML gives a text without quotes."""
    for tag, matches in _RESOLVERS.get(text[:1], ()):
        if matches.match(text):
            return str(tag)
    return _TEXT


def _is_merge(key: Event) -> bool:
    return bool(key.value == _MERGE and key.implicit[0])


def _at(event: Event, message: str) -> NotYamlError:
    return NotYamlError(message, event.start_mark.line + 1, event.start_mark.column + 1)
