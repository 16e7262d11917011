"""docs/parity.md is true: what it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "parity.md"

_find_tests = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`").findall
_find_modules = re.compile(r"`([\w/]+(?:\.py|/))`").findall
_find_links = re.compile(r"\]\(([^)#]+)").findall
_find_cells = re.compile(r"(?<!\\)\|").split
_is_rule = re.compile(r"\|(?:-+\|)+").fullmatch


def table_rows() -> list[list[str]]:
    """Read the cells of all rows of all tables, headings included."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|") and not _is_rule(line)]
    return [[cell.strip() for cell in _find_cells(row)[1:-1]] for row in rows]


@cache
def functions_of(module: Path) -> set[str]:
    """Name the functions of a module, without running it."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("module", "name"), sorted(set(_find_tests(PAGE.read_text(encoding="utf-8")))))
def test_every_test_that_the_page_names_exists(module: str, name: str) -> None:
    """A test that is renamed or removed takes its statement's proof away, and this fails."""
    assert name in functions_of(ROOT / module)


def test_no_cell_is_empty() -> None:
    """Each statement says what we do, and what proves it; no row has lost a cell."""
    rows = table_rows()
    assert len(rows) > 80
    assert [row for row in rows if len(row) != 3 or not all(row)] == []


def test_every_proof_is_a_test_or_something_to_read_or_to_run() -> None:
    """The last cell names a test, a document or a command; words alone prove nothing."""
    proofs = [row[-1] for row in table_rows() if row[-1] != "proof"]
    assert [proof for proof in proofs if not _find_tests(proof) and not _find_links(proof)] == []


def test_what_the_page_links_to_is_there() -> None:
    """Links lead to files of this repository."""
    links = _find_links(PAGE.read_text(encoding="utf-8"))
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_what_the_rules_say_of_modules_is_true() -> None:
    """Each rule says where it is kept, and that is there."""
    rules = [row for row in table_rows() if row[0][0].isdigit() and ". " in row[0]]
    modules = [_find_modules(where) for _, where, _ in rules]
    assert all(modules)
    missing = [
        each for names in modules for each in names if not (ROOT / "airflow_provider_cio" / each).exists()
    ]
    assert (len(rules), missing) == (13, [])
