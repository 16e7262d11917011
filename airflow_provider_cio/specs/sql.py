"""Checks that a query is one SELECT, in one pass over its tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_cio.engine.sources.postgres.lexer import Token, tokens
from airflow_provider_cio.specs.problems import QueryProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Nearly every query is clearly one SELECT, and needs no pass over its tokens.
_SIMPLE = re.compile(r"\s*select\b", re.IGNORECASE)
_NEEDS_SCAN = re.compile(r"[;$\\]|/\*|\b(?:into|for|insert|update|delete|merge)\b", re.IGNORECASE)
_LIMITS = re.compile(r"\b(?:limit|offset|fetch)\b", re.IGNORECASE)

_READING = ("SELECT", "VALUES", "TABLE")
#: Statements that change data, each with the word that follows. A column can have the name of the first word.
_WRITING = {"INSERT": "INTO", "UPDATE": "SET", "DELETE": "FROM", "MERGE": "INTO"}
#: Functions whose arguments are separated by words such as FROM and FOR.
_WORDY_FUNCTIONS = ("SUBSTRING", "OVERLAY", "TRIM", "EXTRACT")
_COMBINING = ("UNION", "INTERSECT", "EXCEPT")
_ONE_SELECT = "the query must be one SELECT"


class _NotOneSelectError(Exception):
    def __init__(self, token: Token, message: str, *, in_any_branch: bool = True) -> None:
        super().__init__(message)
        self.token = token
        self.in_any_branch = in_any_branch


def not_one_select(sql: str, *, branches: bool = False) -> QueryProblem | None:
    """Return why a query is not exactly one SELECT; None if it is. A cursor of Postgres needs one SELECT.

    Args:
        sql: The query, without templates.
        branches: Whether parts of it are alternatives, so that statements and quotes cannot be counted.
    """
    quotes_are_closed = sql.count("'") % 2 == 0 and sql.count('"') % 2 == 0
    if _SIMPLE.match(sql) and quotes_are_closed and not _NEEDS_SCAN.search(sql):
        return None
    try:
        _scan(sql)
    except _NotOneSelectError as error:
        if branches and not error.in_any_branch:
            return None
        return _at(sql, error.token, f"{_ONE_SELECT}{error}")
    return None


def limit_of(sql: str) -> QueryProblem | None:
    """Return the first LIMIT, OFFSET or FETCH that limits the result of a valid query."""
    if not _LIMITS.search(sql):
        return None
    try:
        found = _scan(sql)
    except _NotOneSelectError:  # a query with branches
        return None
    return _at(sql, found, found.text.upper()) if found else None


def quoted_texts(sql: str) -> Iterator[tuple[int, str]]:
    """Yield the index and the text of each quoted string and name, up to the first that is not closed."""
    for token in tokens(sql):
        if token.kind in ("quoted", "dollar"):
            yield token.start, token.text


def _at(sql: str, token: Token, message: str) -> QueryProblem:
    before = re.split(r"\r\n|\r|\n", sql[: token.start])
    length = len(token.text.splitlines()[0]) if token.text else 1
    return QueryProblem(len(before), len(before[-1]) + 1, length, message)


def _closed_tokens(sql: str) -> Iterator[Token]:
    """Yield the tokens of a query.

    Raises:
        _NotOneSelectError: A quote or a comment is not closed.
    """
    for token in tokens(sql):
        if token.kind == "unclosed":
            opening = token.text[:20] if token.text.startswith("$") else token.text[-1]
            what = "the comment /*" if token.text == "/*" else f"the quote {opening}"
            raise _NotOneSelectError(token, f": {what} is not closed", in_any_branch=False)
        yield token


def _scan(sql: str) -> Token | None:
    """Go through the tokens of a query once.

    Returns:
        The token that limits its rows, if there is one.

    Raises:
        _NotOneSelectError: The query is not one SELECT.
    """
    scan = _Scan()
    ended = False
    for token in _closed_tokens(sql):
        if ended and token.text != ";":
            raise _NotOneSelectError(token, ", but another statement follows", in_any_branch=False)
        if token.text == "\\":
            raise _NotOneSelectError(token, ", but a command of psql, such as \\g, is not SQL: remove it")
        if token.text == ";":
            ended = bool(scan.first)
            if not ended:
                raise _NotOneSelectError(token, ", but is empty")
            continue
        scan.step(token)
    if not scan.first:
        raise _NotOneSelectError(Token("", "", 0), ", but is empty")
    return scan.limit


class _Parenthesis(NamedTuple):
    """An open parenthesis.

    Args:
        before: The word before it.
        is_result: Whether the rows in it are part of the result.
    """

    before: str
    is_result: bool


class _Scan:
    """The state of a pass over the tokens of a query.

    Attributes:
        first: The first word; empty before it.
        limit: The token that limits the rows of the result, if there is one.
        parentheses: The open parentheses, the innermost last.
    """

    def __init__(self) -> None:
        self.first = ""
        self.limit: Token | None = None
        self.parentheses: list[_Parenthesis] = []
        self._previous = ["", "", ""]
        self._with_at: int | None = None
        self._limiting: Token | None = None
        self._writing: Token | None = None

    def step(self, token: Token) -> None:
        """Process the next token."""
        word = token.text.upper() if token.kind == "word" else token.text[:1]
        if self._limiting:
            self._check_limit(word, token)
        if self._writing:
            self._check_writing(word)
        if word == "(" and token.kind == "sign":
            self.parentheses.append(_Parenthesis(self._previous[-1], self._opens_result()))
        elif word == ")" and token.kind == "sign":
            if self.parentheses:
                self.parentheses.pop()
        elif not self.first:
            self._begin(word, token)
        elif token.kind == "word":
            self._word(word, token)
        self._previous = [*self._previous[-2:], word]

    def _opens_result(self) -> bool:
        """Return whether the parenthesis that opens here holds rows of the result."""
        if not self._in_result():
            return False
        _, before, last = self._previous
        if last in ("ALL", "DISTINCT"):
            last = before
        return last in ("", "(", *_COMBINING) or (last == ")" and self._with_at is not None)

    def _in_result(self) -> bool:
        return not self.parentheses or self.parentheses[-1].is_result

    def _begin(self, word: str, token: Token) -> None:
        if word == "WITH":
            self._with_at = len(self.parentheses)
        elif word not in _READING:
            beginning = token.text.upper()[:20] if token.kind == "word" else "something else"
            raise _NotOneSelectError(token, f", but begins with {beginning}: a sync only reads")
        self.first = word

    def _word(self, word: str, token: Token) -> None:
        last = self._previous[-1]
        if word in _WRITING and (
            (last == "(" and self.parentheses[-1].before not in _WORDY_FUNCTIONS)
            or (last == ")" and self._with_at == len(self.parentheses))
        ):
            self._writing = token
        if word in _READING and self._with_at == len(self.parentheses):
            self._with_at = None
        if last in ("AS", "."):
            return
        if word == "INTO":
            raise _NotOneSelectError(token, ", but SELECT … INTO creates a table: a sync only reads")
        if self._locks(word):
            raise _NotOneSelectError(token, f", but FOR {word} locks rows: a sync only reads")
        if word in ("LIMIT", "OFFSET", "FETCH") and self._in_result() and not self.limit:
            self._limiting = token

    def _locks(self, word: str) -> bool:
        """Return whether a word ends FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE or FOR KEY SHARE."""
        for key in (("FOR",), ("FOR", "KEY"), ("FOR", "NO", "KEY")):
            if tuple(self._previous[-len(key) :]) == key and word in ("UPDATE", "SHARE"):
                of_function = self.parentheses and self.parentheses[-1].before in _WORDY_FUNCTIONS
                return not of_function
        return False

    def _check_writing(self, word: str) -> None:
        """Distinguish a statement from a column with its name, as in ``AS (update int, delete text)``."""
        statement, self._writing = self._writing, None
        first = statement.text.upper() if statement else ""
        if statement and word == _WRITING[first]:
            raise _NotOneSelectError(statement, f", but {first} changes data: a sync only reads")
        if first == "UPDATE" and word not in ("(", ")", ","):  # the name of the table
            self._writing = statement

    def _check_limit(self, word: str, token: Token) -> None:
        """Record a limit, unless it has no effect: LIMIT ALL, LIMIT NULL, OFFSET 0."""
        limiting, self._limiting = self._limiting, None
        none = (
            {"LIMIT": ("ALL", "NULL"), "OFFSET": ("NULL",)}.get(limiting.text.upper(), ()) if limiting else ()
        )
        if word in none or (limiting and limiting.text.upper() == "OFFSET" and token.text == "0"):
            return
        self.limit = limiting
