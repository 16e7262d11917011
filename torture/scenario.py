"""What all scenarios use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class BrokenPromiseError(Exception):
    """A promise did not hold. The message names the expected and the actual result."""


@dataclass(frozen=True)
class Trial:
    """One execution of a scenario.

    Args:
        seed: Seed of all random choices.
        short: Whether to run the short form, which takes seconds.
        folder: An empty folder for logs and files.
    """

    seed: int
    short: bool
    folder: Path

    def scale(self, long: T, short: T) -> T:
        """Return the value for the form of this trial."""
        return short if self.short else long


def expect(condition: object, otherwise: str) -> None:
    """Check a promise.

    Args:
        condition: True if the promise holds.
        otherwise: The message if it does not hold.

    Raises:
        BrokenPromiseError: The promise did not hold.
    """
    if not condition:
        raise BrokenPromiseError(otherwise)
