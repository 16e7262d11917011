"""What `make torture` proves at length, in seconds."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from torture.scenario import Trial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("scenario", ["api_faults", "backends", "black_hole", "watermark"])
def test_promises_hold_in_the_short_form(scenario: str, tmp_path: Path) -> None:
    """A scenario raises an error that says what did not hold."""
    importlib.import_module(f"torture.{scenario}").run(Trial(seed=1, short=True, folder=tmp_path))
