"""What scenarios have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class BrokenPromiseError(Exception):
    """What the product promises did not hold; the message says what was expected and what was found."""


@dataclass(frozen=True)
class Trial:
    """One execution of a scenario.

    Args:
        seed: Decides on everything that is left to chance.
        short: Run the form that takes seconds.
        folder: An empty folder for logs and files.
    """

    seed: int
    short: bool
    folder: Path

    def scale(self, long: T, short: T) -> T:
        """Choose by the form."""
        return short if self.short else long


def expect(condition: object, otherwise: str) -> None:
    """Check a promise.

    Raises:
        BrokenPromiseError: It did not hold.
    """
    if not condition:
        raise BrokenPromiseError(otherwise)
