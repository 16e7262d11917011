"""Cells of a CSV that spreadsheets show and never run.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``. Quotes do not prevent that. Where the
list separator is a semicolon or a tab, as in many European locales, the spreadsheet also splits a cell at it,
or at a line break in it, and runs what follows. So an apostrophe goes in front of every such character.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from airflow_provider_cio.engine.value_text import value_text

#: What begins a formula: in ASCII, in full-width, small, superscript and subscript forms, and the minus sign.
_FORMULA = "=+\\-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋−"  # noqa: RUF001 - look-alikes are the point
#: Where a spreadsheet may split a cell.
_SEPARATORS = ";|\t\r\n"
#: What a spreadsheet may drop in front of a formula: spaces, control and invisible characters, quotes.
_DROPPED = (
    _SEPARATORS + "\\s\\x00-\\x1f\\x7f-\\xa0\\xad\\u200b-\\u200f\\u2028-\\u202f\\u2060-\\u206f\\ufeff\"'`"
)

_BEGINS = re.compile(f"[\t\r\n]|[{_DROPPED}]*+[{_FORMULA}]").match
#: Takes a whole run of separators and spaces at once, so that long runs cost linear time.
_INNER = re.compile(f"([{_SEPARATORS}][{_DROPPED}]*+)([{_FORMULA}])?")


def cell(value: Any) -> str:
    """Write a value as people read it, and never as something that a spreadsheet would run."""
    text = value_text(value)
    if isinstance(value, int | float | Decimal):  # -1 is a number, and stays one
        return text
    text = _INNER.sub(_defuse, text)
    return f"'{text}" if _BEGINS(text) else text


def _defuse(match: re.Match[str]) -> str:
    before, formula = match.groups()
    return f"{before}'{formula}" if formula else before
