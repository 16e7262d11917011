"""The short forms of the scenarios of `make torture`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from torture.scenario import Trial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("scenario", ["api_faults", "backends", "black_hole", "watermark"])
def test_promises_hold_in_the_short_form(scenario: str, tmp_path: Path) -> None:
    """The promises hold: a scenario raises an error if one does not."""
    importlib.import_module(f"torture.{scenario}").run(Trial(seed=1, short=True, folder=tmp_path))
