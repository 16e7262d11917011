"""The only texts of Postgres and libpq that a log may contain.

Postgres quotes values of rows in many of its messages: a user function or a foreign server can put any text
into an error. Its parser cannot, because the parser sees the text of a query and no row. libpq quotes fields
of the connection, in which people also put passwords by mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg
    from psycopg import pq

#: The longest text in a log. Postgres's own messages are shorter; the messages of a pooler can be longer.
_LONGEST = 300
#: A shorter password occurs by chance in ordinary sentences. Airflow does not mask shorter ones either.
_SHORTEST_PASSWORD = 5

#: The classes of SQLSTATE in which the parser reports errors in the text of a query.
_PARSER_CLASSES = ("42", "0A", "3F")
_SYNTAX_ERROR = "42601"
#: The classes in which a server or a pooler refuses a login, a database or a host.
_REFUSAL_CLASSES = ("28", "3D", "08")
_PERMISSION_DENIED = re.compile(r"permission denied for [a-z ]+ [\w.$\"]+")


def parser_message(error: psycopg.Error) -> str:
    """Return the server's message if its parser wrote it about the text of the query, else an empty text."""
    diagnostic = error.diag
    message = diagnostic.message_primary or ""
    # A context means that a function raised the error: Postgres calls immutable functions while it plans.
    if diagnostic.context or not (error.sqlstate or "").startswith(_PARSER_CLASSES):
        return ""
    is_about_query = (
        diagnostic.statement_position
        or error.sqlstate == _SYNTAX_ERROR
        or _PERMISSION_DENIED.fullmatch(message)
    )
    return message[:_LONGEST] if is_about_query else ""


def refusal_message(message: str, sqlstate: str, pgconn: pq.abc.PGconn | None) -> str:
    """Return the message of a refused connection if it is about the login, else an empty text.

    The message quotes the login and the database. A person may have put the password into one of them, so it
    is redacted.

    Args:
        message: The message of the server.
        sqlstate: Its SQLSTATE; empty if it is unknown.
        pgconn: The connection that was refused.
    """
    if sqlstate[:2] not in _REFUSAL_CLASSES:
        return ""
    password = pgconn.password.decode(errors="replace") if pgconn else ""
    if len(password) >= _SHORTEST_PASSWORD:
        message = message.replace(password, "***")
    return message[:_LONGEST].rstrip(".")


def libpq_message(message: str, words: str) -> str:
    """Return the line of libpq's message that contains some words, without the address before them.

    Args:
        message: The text of psycopg's error, one line for each address that was tried.
        words: Words of a message of libpq that quotes nothing secret.
    """
    line = next(line for line in message.splitlines() if words in line)
    return line.rpartition(" failed: ")[2].removeprefix("connection is bad: ")[:_LONGEST]
