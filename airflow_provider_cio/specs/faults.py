"""What is wrong with a spec, as compilers say it: where it is, what is allowed, and the line with a caret."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - a field's type

from airflow_provider_cio.errors import SpecError

__all__ = ["Fault", "SpecError", "did_you_mean"]

#: A longer line is cut: queries may be written in one.
_SHOWN_CHARACTERS = 160


@dataclass(frozen=True, order=True)
class Fault:
    """One mistake in a file.

    Args:
        path: The file.
        line: Its line, from 1.
        column: The first character at fault, from 1.
        message: A sentence that says what is wrong and what would be right.
        text: The line.
        length: How many characters are at fault.
    """

    path: Path
    line: int
    column: int
    message: str
    text: str = ""
    length: int = 1

    def __str__(self) -> str:
        head = f"{self.path}:{self.line}:{self.column}: {self.message}"
        if not self.text or self.column > _SHOWN_CHARACTERS:
            return head
        shown = self.text[:_SHOWN_CHARACTERS]
        before = "".join(character if character == "\t" else " " for character in shown[: self.column - 1])
        carets = "^" * max(min(self.length, len(shown) - len(before)), 1)
        return f"{head}\n{self.line:>5} | {shown}\n      | {before}{carets}"


def did_you_mean(word: str, allowed: list[str]) -> str:
    """Suggest what somebody may have meant, or list what is allowed."""
    close = difflib.get_close_matches(word.lower(), allowed, n=1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(allowed)}"
