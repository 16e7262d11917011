"""Damaged specs, as `python -m torture mutants` makes thousands of."""

from __future__ import annotations

from torture.mutants import check


def test_no_damaged_spec_takes_the_dag_beside_it_down() -> None:
    """Nor does it raise, show what a notifier is given, or take more than its time and memory."""
    assert check(seed=7, count=200).startswith("200 mutants")
