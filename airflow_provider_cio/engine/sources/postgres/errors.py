"""Translate the errors of an open Postgres connection into ours.

`connection_errors` does the same for connections that cannot be opened.
"""

from __future__ import annotations

import psycopg
from psycopg.errors import lookup

from airflow_provider_cio.engine.sources.postgres.safe_messages import parser_message
from airflow_provider_cio.engine.sources.postgres.sqlstates import Advice, query_advice
from airflow_provider_cio.errors import ConfigurationError, QueryError, SourceUnavailableError, SyncError

#: Postgres reports a malformed message with this SQLSTATE. Poolers use it for nearly everything.
_PROTOCOL_VIOLATION = "08P01"
#: The source file of Postgres that reads messages. Functions and poolers do not report errors from it.
_MESSAGE_READER = "postgres.c"
_PARAMETER_IN_QUERY = Advice(
    QueryError,
    "The query contains a parameter such as $1, and a sync has no value for it. Write the value instead.",
)
_STATEMENT_POOLING = "statement pooling mode"
_STATEMENT_POOLER = Advice(
    ConfigurationError,
    "The pooler uses another connection for every statement. Set its pool_mode to transaction or session.",
)


def query_error(error: psycopg.Error, query: str, offset: int) -> SyncError:
    """Translate an error that Postgres reported when it parsed and planned a query.

    Args:
        error: The error.
        query: The rendered query of the spec.
        offset: The number of characters that were sent before the query.
    """
    advice = _advice(error)
    if advice.error_type is not QueryError:
        return _with_advice("Postgres stopped the query", error, advice)
    problem = f"Postgres refused the query{_position(error, query, offset)}"
    if message := parser_message(error):
        problem = f"{problem}: {message}"
    return _with_advice(problem, error, advice)


def execution_error(error: psycopg.Error) -> SyncError:
    """Translate an error that Postgres reported at any other time, such as while it computed rows."""
    advice = _advice(error)
    is_query = advice.error_type is QueryError
    problem = "Postgres could not compute a row of the query" if is_query else "Postgres stopped the query"
    return _with_advice(problem, error, advice)


def value_error(error: Exception) -> QueryError:
    """Translate an error that occurred while psycopg decoded a value."""
    return QueryError(
        f"A value of the query cannot be decoded ({type(error).__name__}). Cast its column to text."
    )


def _with_advice(problem: str, error: psycopg.Error, advice: Advice) -> SyncError:
    if name := _name(error):
        problem = f"{problem} ({name})"
    return advice.error_type(f"{problem}. {advice.remedy}")


def _advice(error: psycopg.Error) -> Advice:
    if not error.sqlstate:  # psycopg raised it: the connection broke, or a response arrived in part
        if isinstance(error, (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError)):
            return Advice(SourceUnavailableError, "The connection broke.")
        return query_advice("")
    if error.sqlstate == _PROTOCOL_VIOLATION:
        if error.diag.source_file == _MESSAGE_READER:
            return _PARAMETER_IN_QUERY
        if _STATEMENT_POOLING in (error.diag.message_primary or ""):
            return _STATEMENT_POOLER
    return query_advice(error.sqlstate)


def _name(error: psycopg.Error) -> str:
    """Return the SQLSTATE of an error with psycopg's name of it; empty if there is no SQLSTATE."""
    if not error.sqlstate:
        return ""
    try:
        return f"{lookup(error.sqlstate).__name__}, SQLSTATE {error.sqlstate}"
    except KeyError:  # a function can raise an SQLSTATE of its own
        return f"SQLSTATE {error.sqlstate}"


def _position(error: psycopg.Error, query: str, offset: int) -> str:
    """Return the line and column of an error in the query of the spec; empty if Postgres gave none."""
    position = int(error.diag.statement_position or 0) - offset
    if not error.diag.statement_position or not 0 < position <= len(query) + 1:
        return ""
    before = query[: position - 1]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return f" at line {line}, column {column}"
