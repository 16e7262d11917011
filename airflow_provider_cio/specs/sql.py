"""Is a query one SELECT? A pass over its words, in one direction, that knows how Postgres quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_cio.engine.sources.postgres.lexer import Token, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Nearly every query is one, and nothing in it needs a second look.
_SIMPLE = re.compile(r"\s*select\b", re.IGNORECASE)
_NEEDS_A_LOOK = re.compile(r"[;$\\]|/\*|\b(?:into|for|insert|update|delete|merge)\b", re.IGNORECASE)
_LIMITS = re.compile(r"\b(?:limit|offset|fetch)\b", re.IGNORECASE)

_READING = ("SELECT", "VALUES", "TABLE")
#: Statements that change data, each with the word that follows; a column may be called like the first.
_WRITING = {"INSERT": "INTO", "UPDATE": "SET", "DELETE": "FROM", "MERGE": "INTO"}
#: Functions whose arguments are separated by words such as FROM and FOR.
_WORDY_FUNCTIONS = ("SUBSTRING", "OVERLAY", "TRIM", "EXTRACT")
_COMBINING = ("UNION", "INTERSECT", "EXCEPT")
_ONE_SELECT = "the query must be one SELECT"


class SqlFault(NamedTuple):
    """Something at a place in a query, from 1."""

    line: int
    column: int
    length: int
    message: str


class _NotOneSelectError(Exception):
    def __init__(self, token: Token, message: str, *, in_any_branch: bool = True) -> None:
        super().__init__(message)
        self.token = token
        self.in_any_branch = in_any_branch


def not_one_select(sql: str, *, branches: bool = False) -> SqlFault | None:
    """Say why a text is not exactly one statement that reads, as Postgres's cursors need it.

    Args:
        sql: The text.
        branches: Parts of it exclude each other, so that its statements and quotes cannot be counted.
    """
    quotes_are_closed = sql.count("'") % 2 == 0 and sql.count('"') % 2 == 0
    if _SIMPLE.match(sql) and quotes_are_closed and not _NEEDS_A_LOOK.search(sql):
        return None
    try:
        _scan(sql)
    except _NotOneSelectError as error:
        if branches and not error.in_any_branch:
            return None
        return _at(sql, error.token, f"{_ONE_SELECT}{error}")
    return None


def limit_of(sql: str) -> SqlFault | None:
    """Find the first LIMIT, OFFSET or FETCH that cuts the result of a query which is one SELECT."""
    if not _LIMITS.search(sql):
        return None
    try:
        found = _scan(sql)
    except _NotOneSelectError:  # one with branches
        return None
    return _at(sql, found, found.text.upper()) if found else None


def quoted_texts(sql: str) -> Iterator[tuple[int, str]]:
    """Yield the index and the text of each quoted string and name, up to the first that is not closed."""
    for token in tokens(sql):
        if token.kind in ("quoted", "dollar"):
            yield token.start, token.text


def _at(sql: str, token: Token, message: str) -> SqlFault:
    before = re.split(r"\r\n|\r|\n", sql[: token.start])
    length = len(token.text.splitlines()[0]) if token.text else 1
    return SqlFault(len(before), len(before[-1]) + 1, length, message)


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
    """Go through a query once.

    Returns:
        What limits its rows, if anything does.

    Raises:
        _NotOneSelectError: It is not one SELECT.
    """
    scan = _Scan()
    ended = False
    for token in _closed_tokens(sql):
        if ended and token.text != ";":
            raise _NotOneSelectError(token, ", and another statement follows", in_any_branch=False)
        if token.text == "\\":
            raise _NotOneSelectError(token, ", and a command of psql, such as \\g, is not SQL: remove it")
        if token.text == ";":
            ended = bool(scan.first)
            if not ended:
                raise _NotOneSelectError(token, ", and is empty")
            continue
        scan.step(token)
    if not scan.first:
        raise _NotOneSelectError(Token("", "", 0), ", and is empty")
    return scan.limit


class _Parenthesis(NamedTuple):
    """An open parenthesis: the word before it, and whether the rows in it are the result's."""

    before: str
    is_result: bool


class _Scan:
    """What has been seen of a query so far."""

    def __init__(self) -> None:
        self.first = ""
        self.limit: Token | None = None
        self.parentheses: list[_Parenthesis] = []
        self._previous = ["", "", ""]
        self._with_at: int | None = None
        self._limiting: Token | None = None
        self._writing: Token | None = None

    def step(self, token: Token) -> None:
        """Look at the next word."""
        word = token.text.upper() if token.kind == "word" else token.text[:1]
        if self._limiting:
            self._judge_limit(word, token)
        if self._writing:
            self._judge_writing(word)
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
        """Tell whether the parenthesis that opens here holds rows of the result."""
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
            shown = token.text.upper()[:20] if token.kind == "word" else "something else"
            raise _NotOneSelectError(token, f", and begins with {shown}: a sync only reads")
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
            raise _NotOneSelectError(token, ", and SELECT … INTO creates a table: a sync only reads")
        if self._locks(word):
            raise _NotOneSelectError(token, f", and FOR {word} locks rows: a sync only reads")
        if word in ("LIMIT", "OFFSET", "FETCH") and self._in_result() and not self.limit:
            self._limiting = token

    def _locks(self, word: str) -> bool:
        """Tell whether a word ends FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE or FOR KEY SHARE."""
        for key in (("FOR",), ("FOR", "KEY"), ("FOR", "NO", "KEY")):
            if tuple(self._previous[-len(key) :]) == key and word in ("UPDATE", "SHARE"):
                of_function = self.parentheses and self.parentheses[-1].before in _WORDY_FUNCTIONS
                return not of_function
        return False

    def _judge_writing(self, word: str) -> None:
        """Tell a statement from a column of its name, such as in ``AS (update int, delete text)``."""
        statement, self._writing = self._writing, None
        first = statement.text.upper() if statement else ""
        if statement and word == _WRITING[first]:
            raise _NotOneSelectError(statement, f", and {first} changes data: a sync only reads")
        if first == "UPDATE" and word not in ("(", ")", ","):  # the name of the table
            self._writing = statement

    def _judge_limit(self, word: str, token: Token) -> None:
        """Count a limit unless it is none: LIMIT ALL, LIMIT NULL, OFFSET 0."""
        limiting, self._limiting = self._limiting, None
        none = (
            {"LIMIT": ("ALL", "NULL"), "OFFSET": ("NULL",)}.get(limiting.text.upper(), ()) if limiting else ()
        )
        if word in none or (limiting and limiting.text.upper() == "OFFSET" and token.text == "0"):
            return
        self.limit = limiting
