"""Write values as cells of a CSV that spreadsheets display and do not run as formulas.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``, also a quoted one. In locales where a
semicolon or a tab separates cells, it also splits a quoted cell there, or at a line break, and runs the rest
as a formula. So an apostrophe is written before each of these characters at the start of a cell or of such a
part of it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from airflow_provider_cio.engine.value_text import value_text

#: Characters that begin a formula: ASCII, full-width, small, superscript and subscript forms, and the minus
#: sign.
_FORMULA = "=+\\-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋−"  # noqa: RUF001 - look-alikes are the point
#: Characters at which a spreadsheet may split a cell.
_SEPARATORS = ";|\t\r\n"
#: Characters that a spreadsheet ignores before a formula: spaces, quotes, control and invisible characters.
_IGNORED = (
    _SEPARATORS + "\\s\\x00-\\x1f\\x7f-\\xa0\\xad\\u200b-\\u200f\\u2028-\\u202f\\u2060-\\u206f\\ufeff\"'`"
)

_starts_formula = re.compile(f"[\t\r\n]|[{_IGNORED}]*+[{_FORMULA}]").match
#: Matches a whole sequence of separators and ignored characters, so that long sequences cost linear time.
_PART_OF_CELL = re.compile(f"([{_SEPARATORS}][{_IGNORED}]*+)([{_FORMULA}])?")


def cell(value: Any) -> str:
    """Return a value as text for a cell, with an apostrophe before everything that would run as a formula."""
    text = value_text(value)
    if isinstance(value, int | float | Decimal):  # -1 is a number and not a formula
        return text
    text = _PART_OF_CELL.sub(_add_apostrophe, text)
    return f"'{text}" if _starts_formula(text) else text


def _add_apostrophe(match: re.Match[str]) -> str:
    before, formula = match.groups()
    return f"{before}'{formula}" if formula else before
