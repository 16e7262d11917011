"""Cells of reports, which a spreadsheet shows and does not execute."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_cio.reports.cells import cell

FORMULAS = ("=1+1", "+1", "-1", "@SUM(1)", "＝1", "＋1", "－1", "＠a", "−1")  # noqa: RUF001
DROPPED = ("", " ", "\t", "\u00a0", "\u3000", "\ufeff", "\u200b", "\x00", '"', "'", ' " ')


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("before", DROPPED)
def test_a_formula_gets_an_apostrophe(before: str, formula: str) -> None:
    """This includes formulas after characters that a spreadsheet drops, and after a separator in a cell."""
    assert cell(f"{before}{formula}").startswith("'")
    for separator in (";", "\t", "\r", "\n", "\r\n", "|"):
        assert f"{before}'{formula}" in cell(f"a{separator}{before}{formula}")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("before", DROPPED)
def test_no_locale_finds_a_formula(separator: str, formula: str, before: str) -> None:
    """No cell begins with a formula, whichever separator a spreadsheet uses."""
    texts = [
        f"{before}{formula}",
        *(f"a{each}{before}{formula}" for each in (";", "\t", "\n", "|", ';"', ";'")),
    ]
    line = io.StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(map(cell, texts))
    for row in csv.reader(io.StringIO(line.getvalue().replace("\0", ""), newline=""), delimiter=separator):
        for found in row:
            assert not found.lstrip(' \t\r\n\u00a0\u3000\ufeff\u200b"').startswith(FORMULAS), (texts, row)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-5, "-5"),
        (-1.5, "-1.5"),
        (Decimal("-12345678901234567890.5"), "-12345678901234567890.5"),
        (True, "true"),
        (None, ""),
        ("a-b; c", "a-b; c"),
        ("two\nlines", "two\nlines"),
        ("1 = 1", "1 = 1"),
        (["a;=1"], '["a;\'=1"]'),
        (b"\xff", "/w=="),
    ],
)
def test_other_values_are_unchanged(value: Any, text: str) -> None:
    """Numbers stay numbers, and a character in the middle of a text needs no apostrophe."""
    assert cell(value) == text


def test_long_texts_cost_linear_time() -> None:
    """A million separators or spaces take linear time."""
    for text in ("\n" * 1_000_000 + "x", ";" * 1_000_000, " " * 1_000_000, "; " * 500_000 + "="):
        assert cell(text)
