r"""The lexemes of a query, as Postgres tells them apart.

Not by sqlparse: it takes the backslash in ``'\'`` for an escape and reads on beyond the end of that string,
takes the operator ``#`` for the beginning of a comment, and knows no comment within a comment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How deep comments may be nested here; Postgres has no limit.
_COMMENT_LEVELS = 8

_COMMENT = r"/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"
for _ in range(_COMMENT_LEVELS - 1):
    _COMMENT = rf"/\*(?:[^*/]++|\*(?!/)|/(?!\*)|{_COMMENT})*+\*/"

_LEXEMES = re.compile(
    rf"""
    (?P<nothing>\s++ | --[^\r\n]*+ | {_COMMENT})
    | [eE]'(?:[^'\\]++|\\.|'')*+' | '(?:[^']++|'')*+'
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | "(?P<quoted>(?:[^"]++|"")*+)"
    | (?P<plain>[^\W\d][\w$]*+)
    | (?P<semicolon>;)
    | .
    """,
    re.DOTALL | re.VERBOSE,
)


def identifiers_of(query: str) -> Iterator[str]:
    """List the identifiers and keywords of a query as Postgres reads them, before it cuts them off."""
    for lexeme in _LEXEMES.finditer(query):
        if (quoted := lexeme["quoted"]) is not None:
            yield quoted.replace('""', '"')
        elif plain := lexeme["plain"]:
            yield plain.encode().lower().decode()  # of bytes, this changes A to Z only, as Postgres does


def without_semicolon(query: str) -> str:
    """Cut off the semicolon, and comments at the end, so that a query can stand in brackets."""
    end = 0
    for lexeme in _LEXEMES.finditer(query):
        if not lexeme["nothing"] and not lexeme["semicolon"]:
            end = lexeme.end()
    return query[:end]
