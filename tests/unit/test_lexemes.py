"""Postgres's lexemes are told apart, so that nothing but a semicolon and comments is cut off a query."""

from __future__ import annotations

import pytest

from airflow_provider_cio.engine.sources.lexemes import identifiers_of, without_semicolon


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1 ; -- it's", "SELECT 1"),
        ("SELECT 1;;\n; ", "SELECT 1"),
        ("SELECT a # 3 AS b ;", "SELECT a # 3 AS b"),
        ("SELECT a # 3 AS b -- c", "SELECT a # 3 AS b"),
        ("SELECT doc #> '{a}', doc #>> '{b}'", "SELECT doc #> '{a}', doc #>> '{b}'"),
        ("SELECT 1 /* a /* b */ ; */ ;", "SELECT 1"),
        ("SELECT 1 /* /*/ */ */ ;", "SELECT 1"),
        ("SELECT '\\' ; -- it's", "SELECT '\\'"),
        ("SELECT '\\', 'a' ;", "SELECT '\\', 'a'"),
        ("SELECT E'\\';--' ;", "SELECT E'\\';--'"),
        ("SELECT date'2026-01-01' ; -- '", "SELECT date'2026-01-01'"),
        ("SELECT $$ ;-- $$ ;", "SELECT $$ ;-- $$"),
        ("SELECT $a$ $$ /* $a$ ; /* b */", "SELECT $a$ $$ /* $a$"),
        ('SELECT 1 AS "a;--""b" ;', 'SELECT 1 AS "a;--""b"'),
        ("SELECT 4 / 2 * - 1 --\r;", "SELECT 4 / 2 * - 1"),
        ("-- nothing", ""),
    ],
)
def test_a_semicolon_and_comments_at_the_end_are_cut_off(query: str, kept: str) -> None:
    """What Postgres computes stays; a # is an operator, and comments may be nested."""
    assert without_semicolon(query) == kept


def test_identifiers_are_in_the_case_that_postgres_keeps() -> None:
    """It lowers A to Z of a plain one only; texts and comments have none."""
    query = """SELECT É AS Ab, "Cd""e" FROM t -- x\nWHERE 'y' = $$z$$ /* /* v */ w */"""
    assert list(identifiers_of(query)) == ["select", "É", "as", "ab", 'Cd"e', "from", "t", "where"]
