"""Damaged specs, of which `python -m torture mutants` creates thousands."""

from __future__ import annotations

from torture.mutants import check


def test_no_damaged_spec_breaks_the_dag_beside_it() -> None:
    """It raises nothing, reveals no argument of a notifier, and stays within its time and memory."""
    assert check(seed=7, count=200).startswith("200 mutants")
