r"""The lexer of Postgres's SQL, for all code that reads a query without a server.

It is not sqlparse, because that reads the backslash in ``'\'`` as an escape, the operator ``#`` as the start
of a comment, and no comment within a comment. The time is linear in the length of the query.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One token. The quantifiers are possessive, so that no text makes the pattern backtrack.
_TOKEN = re.compile(
    r"""
      (?P<space>\s++|--[^\n\r]*+)
    | (?P<comment>/\*)
    | (?P<quoted>
          [eE]'(?:[^'\\]++|\\.|'')*+'(?:[^\S\n\r]*+[\n\r]\s*+'(?:[^'\\]++|\\.|'')*+')*+
        | (?:[uU]&|[bBxXnN])?'[^']*+(?:''[^']*+)*+'
        | (?:[uU]&)?"[^"]*+(?:""[^"]*+)*+"
      )
    | (?P<dollar>\$(?:[^\W\d]\w*+)?\$)
    | (?P<unclosed>[eE]'|(?:[uU]&|[bBxXnN])?'|(?:[uU]&)?")
    | (?P<word>[^\W\d][\w$]*+)
    | (?P<number>\d[\w.]*+)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_DELIMITER = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """A token of a query.

    Args:
        kind: ``word``, ``number``, ``sign``, ``quoted`` (a string or a quoted identifier), ``dollar`` (a
            dollar-quoted string), or ``unclosed`` (the start of a quote or comment that has no end).
        text: The text as it is in the query.
        start: The index of its first character.
    """

    kind: str
    text: str
    start: int


def tokens(query: str) -> Iterator[Token]:
    """Yield the tokens of a query, without spaces and comments, up to the first that is unclosed."""
    end = 0
    while found := _TOKEN.match(query, end):
        kind, start, end = found.lastgroup, end, found.end()
        if kind == "space":
            continue
        if kind == "comment":
            end = _end_of_comment(query, end)
        elif kind == "dollar":
            closing = query.find(found.group(), end)
            end = closing + len(found.group()) if closing >= 0 else 0
        if kind == "unclosed" or not end:
            yield Token("unclosed", found.group(), start)
            return
        if kind and kind != "comment":
            yield Token(kind, query[start:end], start)


def _end_of_comment(query: str, end: int) -> int:
    """Return the index after a comment, which can contain comments; 0 if the comment is not closed."""
    depth = 1
    while depth:
        delimiter = _COMMENT_DELIMITER.search(query, end)
        if not delimiter:
            return 0
        depth += 1 if delimiter.group() == "/*" else -1
        end = delimiter.end()
    return end


def identifiers(query: str) -> Iterator[str]:
    """Yield the identifiers and keywords of a query as Postgres reads them, before it truncates them."""
    for token in tokens(query):
        if token.kind == "word":
            yield token.text.encode().lower().decode()  # bytes.lower() changes A to Z only, as Postgres does
        elif token.kind == "quoted" and token.text.endswith('"'):
            yield token.text[token.text.index('"') + 1 : -1].replace('""', '"')


def without_semicolon(query: str) -> str:
    """Remove semicolons and comments from the end of a query, so that it can stand in parentheses."""
    end = 0
    for token in tokens(query):
        if token.text != ";":
            end = token.start + len(token.text)
    return query[:end]
