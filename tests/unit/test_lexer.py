"""The lexer splits a query into the same tokens as Postgres."""

from __future__ import annotations

import pytest

from airflow_provider_cio.engine.sources.postgres.lexer import Token, identifiers, tokens, without_semicolon


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
        ("SELECT 1 " + "/*" * 1000 + "*/" * 1000, "SELECT 1"),
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
def test_semicolons_and_comments_at_the_end_are_removed(query: str, kept: str) -> None:
    """Nothing else is removed. A # is an operator, and a comment can contain comments."""
    assert without_semicolon(query) == kept


def test_identifiers_have_the_case_that_postgres_keeps() -> None:
    """Postgres lowers A to Z of an identifier without quotes. Strings and comments contain no identifiers."""
    query = """SELECT É AS Ab, "Cd""e" FROM t -- x\nWHERE 'y' = $$z$$ /* /* v */ w */"""
    assert list(identifiers(query)) == ["select", "É", "as", "ab", 'Cd"e', "from", "t", "where"]


@pytest.mark.parametrize("opening", ["'", "E'", "U&'", '"', 'u&"', "$$", "$a$", "/*"])
def test_a_quote_or_comment_without_an_end_is_the_last_token(opening: str) -> None:
    """Its text is only the opening, because the rest of the query is not part of any token."""
    query = f"SELECT {opening} FROM t"
    assert list(tokens(query)) == [Token("word", "SELECT", 0), Token("unclosed", opening, 7)]
