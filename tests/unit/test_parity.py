"""docs/parity.md names tests, files and modules that exist."""

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
    """Return the cells of all rows of all tables, without the headings."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    headings = {number - 1 for number, line in enumerate(lines) if _is_rule(line)}
    rows = [
        line
        for number, line in enumerate(lines)
        if line.startswith("|") and not _is_rule(line) and number not in headings
    ]
    return [[cell.strip() for cell in _find_cells(row)[1:-1]] for row in rows]


@cache
def functions_of(module: Path) -> set[str]:
    """Return the names of the functions of a module, without importing it."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("module", "name"), sorted(set(_find_tests(PAGE.read_text(encoding="utf-8")))))
def test_every_named_test_exists(module: str, name: str) -> None:
    """Each statement keeps its proof when a test is renamed or removed."""
    assert name in functions_of(ROOT / module)


def test_no_cell_is_empty() -> None:
    """Each row has a statement, a comparison and a proof."""
    rows = table_rows()
    assert len(rows) > 80
    assert [row for row in rows if len(row) != 3 or not all(row)] == []


def test_every_proof_is_a_test_or_a_link() -> None:
    """The last cell of each row has a test, or a link to a document or a benchmark."""
    proofs = [row[-1] for row in table_rows()]
    assert [proof for proof in proofs if not _find_tests(proof) and not _find_links(proof)] == []


def test_every_linked_file_exists() -> None:
    """Links lead to files of this repository."""
    links = _find_links(PAGE.read_text(encoding="utf-8"))
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_every_module_of_a_rule_exists() -> None:
    """Each rule names at least one module, and the modules exist."""
    rules = [row for row in table_rows() if row[0][0].isdigit() and ". " in row[0]]
    modules = [_find_modules(where) for _, where, _ in rules]
    assert all(modules)
    missing = [
        each for names in modules for each in names if not (ROOT / "airflow_provider_cio" / each).exists()
    ]
    assert (len(rules), missing) == (13, [])
