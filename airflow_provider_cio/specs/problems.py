"""What is wrong with a spec, in the form of a compiler: position, message, and the line with a caret."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the type of a field
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A longer line is cut, because a query can be written in one line.
_LINE_CHARACTERS = 160
#: A longer word of a spec is cut in a message, and similar to no other. The longest key has 31 characters.
_WORD_CHARACTERS = 60
#: More names than these would make a message longer than a screen.
_LISTED_NAMES = 30
#: The most problems of a file that are listed. A file with 50,000 wrong keys would take seconds.
MAX_PROBLEMS = 20
#: Finds a URI with a password. Text before an @ can also be a container or the id of a connection.
URI_WITH_PASSWORD = re.compile(r"://[^/\s@:]*+:[^/\s@]*+@").search


class Position(NamedTuple):
    """A position in a file.

    Args:
        line: The line, from 1.
        column: The first character, from 1.
        length: The number of characters, on this line.
    """

    line: int
    column: int
    length: int


class QueryProblem(NamedTuple):
    """One mistake in the text of a query.

    Args:
        line: Its line in the text, from 1.
        column: Its first character, from 1.
        length: The number of characters, on this line.
        message: What is wrong, and what to do.
    """

    line: int
    column: int
    length: int
    message: str


@dataclass(frozen=True, order=True)
class SpecProblem:
    """One mistake in a file.

    Args:
        path: The file.
        line: Its line, from 1.
        column: Its first character, from 1.
        message: What is wrong, and what to do.
        text: The text of the line, where it cannot hold a secret; else empty.
        length: The number of characters, on this line.
    """

    path: Path
    line: int
    column: int
    message: str
    text: str = ""
    length: int = 1

    def __str__(self) -> str:
        head = printable(f"{self.path}:{self.line}:{self.column}: {self.message}")
        if not self.text or self.column > _LINE_CHARACTERS:
            return head
        text = self.text[:_LINE_CHARACTERS]
        before = "".join(character if character == "\t" else " " for character in text[: self.column - 1])
        carets = "^" * max(min(self.length, len(text) - len(before)), 1)
        return f"{head}\n{self.line:>5} | {printable(text)}\n      | {before}{carets}"


class SpecError(ConfigurationError):
    """A spec cannot be used.

    Args:
        problems: Everything that is wrong with it.
    """

    def __init__(self, problems: Sequence[SpecProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def sorted_problems(problems: Sequence[SpecProblem]) -> list[SpecProblem]:
    """Return each problem once, in the order of the files. Of very many, return the first and a count."""
    found = sorted(set(problems))
    more = len(found) - MAX_PROBLEMS
    return found if more <= 1 else [*found[:MAX_PROBLEMS], not_listed(found[MAX_PROBLEMS].path, more)]


def not_listed(path: Path, count: int) -> SpecProblem:
    """Return a problem that counts the problems which are not listed."""
    return SpecProblem(path, 1, 1, f"{count:,} more problems are not listed: fix the others first")


def printable(text: str) -> str:
    """Escape characters that a terminal, a log or a database cannot display, such as control characters."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\t"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def cut(word: str) -> str:
    """Shorten a word of a spec for a message."""
    return printable(word if len(word) <= _WORD_CHARACTERS else f"{word[:_WORD_CHARACTERS]}…")


def closest(word: str, allowed: Sequence[str]) -> str | None:
    """Return the allowed word that is similar to this word, or None if none is."""
    if not word or len(word) > _WORD_CHARACTERS:
        return None
    matches = difflib.get_close_matches(word.lower(), allowed, n=1)
    return matches[0] if matches else None


def did_you_mean(word: str, allowed: Sequence[str]) -> str:
    """Suggest the allowed word that is similar to this word, or list all allowed words."""
    if match := closest(word, allowed):
        return f"did you mean {cut(match)}?"
    more = ", …" if len(allowed) > _LISTED_NAMES else ""
    return f"allowed are {', '.join(map(cut, allowed[:_LISTED_NAMES]))}{more}"


def describe_unexpected(error: Exception) -> str:
    """Describe an error that is not about a spec, even if its text cannot be read."""
    try:
        text = printable(str(error))
    except Exception:  # noqa: BLE001 - the class of the error can come from a notifier
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
