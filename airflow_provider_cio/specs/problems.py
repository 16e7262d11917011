"""What is wrong with a spec, as compilers say it: where it is, what is allowed, and the line with a caret."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - a field's type
from typing import TYPE_CHECKING

from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAX_PROBLEMS",
    "URI_WITH_PASSWORD",
    "SpecError",
    "SpecProblem",
    "cut",
    "did_you_mean",
    "not_listed",
    "printable",
    "sorted_problems",
    "unexpected",
]

#: A longer line is cut: queries may be written in one.
_SHOWN_CHARACTERS = 160
#: A longer word of a spec is cut in a message, and similar to no other. The longest key has 31 characters.
_WORD_CHARACTERS = 60
#: More names than these make a message longer than a screen.
_LISTED_NAMES = 30
#: More problems than these are not read, and a file with 50,000 wrong keys would take seconds.
MAX_PROBLEMS = 20
#: Finds a URI with a password; what is before an @ may also be a container or a connection's id.
URI_WITH_PASSWORD = re.compile(r"://[^/\s@:]*+:[^/\s@]*+@").search


@dataclass(frozen=True, order=True)
class SpecProblem:
    """One mistake in a file.

    Args:
        path: The file.
        line: Its line, from 1.
        column: The first character at fault, from 1.
        message: A sentence that says what is wrong and what would be right.
        text: The line, where it cannot hold a secret.
        length: How many characters are at fault.
    """

    path: Path
    line: int
    column: int
    message: str
    text: str = ""
    length: int = 1

    def __str__(self) -> str:
        head = printable(f"{self.path}:{self.line}:{self.column}: {self.message}")
        if not self.text or self.column > _SHOWN_CHARACTERS:
            return head
        shown = self.text[:_SHOWN_CHARACTERS]
        before = "".join(character if character == "\t" else " " for character in shown[: self.column - 1])
        carets = "^" * max(min(self.length, len(shown) - len(before)), 1)
        return f"{head}\n{self.line:>5} | {printable(shown)}\n      | {before}{carets}"


class SpecError(ConfigurationError):
    """A spec cannot be used.

    Args:
        faults: All that is wrong with it.
    """

    def __init__(self, faults: Sequence[SpecProblem]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def sorted_problems(faults: Sequence[SpecProblem]) -> list[SpecProblem]:
    """Give each fault once, in the order of the files; of very many, the first and how many more."""
    found = sorted(set(faults))
    more = len(found) - MAX_PROBLEMS
    return found if more <= 1 else [*found[:MAX_PROBLEMS], not_listed(found[MAX_PROBLEMS].path, more)]


def not_listed(path: Path, count: int) -> SpecProblem:
    """Say that there are more faults."""
    return SpecProblem(path, 1, 1, f"{count:,} more problems are not listed: solve the others first")


def printable(text: str) -> str:
    """Escape what a terminal, a log or a database cannot show, such as control characters."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\t"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def cut(word: str) -> str:
    """Shorten what a spec says, for a message."""
    return printable(word if len(word) <= _WORD_CHARACTERS else f"{word[:_WORD_CHARACTERS]}…")


def did_you_mean(word: str, allowed: Sequence[str]) -> str:
    """Suggest what may be meant, or list what is allowed."""
    if word and len(word) <= _WORD_CHARACTERS:
        close = difflib.get_close_matches(word.lower(), allowed, n=1)
        if close:
            return f"did you mean {cut(close[0])}?"
    more = ", …" if len(allowed) > _LISTED_NAMES else ""
    return f"allowed are {', '.join(map(cut, allowed[:_LISTED_NAMES]))}{more}"


def unexpected(error: Exception) -> str:
    """Describe an error that is not about a spec, also one that cannot describe itself."""
    try:
        said = printable(str(error))
    except Exception:  # noqa: BLE001 - its class may come from a notifier
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
