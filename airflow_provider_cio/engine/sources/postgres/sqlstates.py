"""What each SQLSTATE of Postgres means for a run: the error to raise and what a person can do about it.

Errors are classified by SQLSTATE, never by the class of psycopg's exception or by English words, because a
server writes its messages in its own language.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from airflow_provider_cio.errors import ConfigurationError, QueryError, SourceUnavailableError

_ErrorType: TypeAlias = "type[ConfigurationError | QueryError | SourceUnavailableError]"


class Advice(NamedTuple):
    """What to do about an error of Postgres.

    Args:
        error_type: The error to raise.
        remedy: One or two sentences for people: the cause, and what to do.
    """

    error_type: _ErrorType
    remedy: str


_TRANSIENT = SourceUnavailableError
_CONNECTION = ConfigurationError
_QUERY = QueryError

_FUNCTION_FAILED = Advice(
    _QUERY, "A function in the query raised an error. Run the query in psql to see the message."
)

#: By SQLSTATE, or by its first two characters (its class) for the rest of the class.
_ADVICE: dict[str, Advice] = {
    # A later attempt can succeed.
    "08": Advice(_TRANSIENT, "The connection to the server, or from the server to a foreign server, broke."),
    "40": Advice(_TRANSIENT, "The server cancelled the transaction because of a conflict with another one."),
    "53": Advice(_TRANSIENT, "The server is out of memory, disk space or connections."),
    "55P03": Advice(
        _TRANSIENT,
        "Another session held a lock for longer than lock_timeout. pg_locks shows which locks are held.",
    ),
    "55006": Advice(_TRANSIENT, "Another session is using an object that the query needs."),
    "57": Advice(_TRANSIENT, "The server closed the session."),
    "57014": Advice(
        _TRANSIENT,
        "The query was cancelled, or it took longer than statement_timeout. Set a longer statement_timeout in"
        " the spec, or make the query faster, for example with an index.",
    ),
    "57P03": Advice(_TRANSIENT, "The server is starting, shutting down or recovering."),
    "58": Advice(_TRANSIENT, "The server's operating system reported an error. See the server's log."),
    "72000": Advice(_TRANSIENT, "The snapshot is too old for the server (old_snapshot_threshold)."),
    "25P03": Advice(_TRANSIENT, "The server closed the session (idle_in_transaction_session_timeout)."),
    "25P04": Advice(_TRANSIENT, "The server closed the session (transaction_timeout)."),
    "XX000": Advice(_TRANSIENT, "The server reported an internal error. See the server's log."),
    # A person has to change the connection, the role or the server.
    "28": Advice(_CONNECTION, "Correct the login and password of the connection, or let the role log in."),
    "28000": Advice(
        _CONNECTION,
        "If the server requires TLS, set sslmode to require or verify-full in the connection's extra."
        " Otherwise allow this user and host in the server's pg_hba.conf, and give the role LOGIN.",
    ),
    "28P01": Advice(_CONNECTION, "Correct the login and password of the connection."),
    "3D000": Advice(_CONNECTION, "Correct the connection's database (its Schema field)."),
    "57P04": Advice(_CONNECTION, "The database was dropped. Correct the connection's database."),
    "XX001": Advice(_CONNECTION, "Data on the server is corrupted. See the server's log."),
    "XX002": Advice(_CONNECTION, "An index on the server is corrupted. Rebuild it with REINDEX."),
    "F0": Advice(_CONNECTION, "A configuration file of the server is not valid. See the server's log."),
    # A person has to change the query, or the database objects that it reads.
    "0A": Advice(
        _QUERY,
        "The query must be one SELECT that changes nothing and uses only features of this server's version.",
    ),
    "21": Advice(
        _QUERY, "A subquery that must return one row returned more. Add LIMIT 1, or use an aggregate."
    ),
    "22": Advice(
        _QUERY,
        "A value is not valid for the expression that uses it. Run the query in psql to see the value.",
    ),
    "22012": Advice(_QUERY, "A row divides by zero. Divide by NULLIF(divisor, 0)."),
    "22P02": Advice(
        _QUERY, "A text is not valid for the type that it is cast to. Run the query in psql to see the text."
    ),
    "22003": Advice(_QUERY, "A number is too large for its type. Cast it to numeric."),
    "22021": Advice(
        _QUERY,
        "A text contains bytes that are not valid UTF-8, which is possible in SQL_ASCII databases. Convert it"
        " in the query, for example: convert_from(name::bytea, 'LATIN1') AS name",
    ),
    "22P05": Advice(
        _QUERY, "A text contains a character that cannot be converted to UTF-8. Replace it in the query."
    ),
    "25006": Advice(
        _QUERY,
        "A sync only reads. Remove everything that writes from the query, such as nextval() and functions"
        " that change data.",
    ),
    "2F": Advice(
        _QUERY, "A function in the query does what a sync may not do, such as writing. A sync only reads."
    ),
    "34000": Advice(_QUERY, "The query must be one SELECT."),
    "38": _FUNCTION_FAILED,
    "39": _FUNCTION_FAILED,
    "3F000": Advice(_QUERY, "A schema in the query does not exist. Correct its name."),
    "42": Advice(_QUERY, "Correct the query. psql shows the same error."),
    "42501": Advice(
        _QUERY,
        "The connection's role lacks a permission. Grant it what the query uses: GRANT SELECT on tables,"
        " views and sequences, USAGE on schemas, EXECUTE on functions.",
    ),
    "42601": Advice(_QUERY, "The query must be one SELECT. Correct its syntax."),
    "42703": Advice(_QUERY, "Correct the column's name."),
    "42P01": Advice(_QUERY, "Correct the table's name, or add its schema."),
    "42883": Advice(_QUERY, "Correct the function's name, or cast its arguments."),
    "44000": Advice(_QUERY, "A row violates the check of a view. Run the query in psql to see the row."),
    "53400": Advice(
        _QUERY,
        "The query exceeds a limit of the server, such as temp_file_limit. Sort less, or raise the limit.",
    ),
    "54": Advice(
        _QUERY, "The query exceeds a limit of Postgres. Simplify the query, or select fewer columns."
    ),
    "55": Advice(
        _QUERY, "An object that the query reads is not ready. Run the query in psql to see the message."
    ),
    "55000": Advice(
        _QUERY,
        "An object that the query reads is not ready. If it is a materialized view that was created WITH NO"
        " DATA, run REFRESH MATERIALIZED VIEW.",
    ),
    "58P01": Advice(
        _QUERY, "The server lacks a file, for example of an extension. See the server's log for its name."
    ),
    "HV": Advice(_QUERY, "A foreign server reported an error. Run the query in psql to see the message."),
    "HV00N": Advice(_TRANSIENT, "A foreign server cannot be reached."),
    "P0": _FUNCTION_FAILED,
}

#: While a connection is opened, these SQLSTATEs have another cause than in a query.
_CONNECTING_ADVICE: dict[str, Advice] = {
    "55000": Advice(
        _CONNECTION, "The database does not accept connections. Set its ALLOW_CONNECTIONS to true."
    ),
    "42501": Advice(_CONNECTION, "GRANT CONNECT ON DATABASE to the connection's login."),
    "42704": Advice(_CONNECTION, "Correct options in the connection's extra: it names an unknown setting."),
    "22023": Advice(_CONNECTION, "Correct options in the connection's extra: a value is not valid."),
    "42601": Advice(_CONNECTION, "Correct options in the connection's extra: write -c name=value."),
}


def _find(table: dict[str, Advice], sqlstate: str) -> Advice | None:
    return table.get(sqlstate) or table.get(sqlstate[:2])


def query_advice(sqlstate: str) -> Advice:
    """Return the advice for an error of a query; a function can raise any SQLSTATE."""
    return _find(_ADVICE, sqlstate) or Advice(_QUERY, "Run the query in psql to see the message.")


def connecting_advice(sqlstate: str) -> Advice:
    """Return the advice for a server that refuses a connection.

    Args:
        sqlstate: Five characters, or an empty text where the SQLSTATE is unknown.
    """
    advice = _CONNECTING_ADVICE.get(sqlstate) or _find(_ADVICE, sqlstate)
    if advice is None or advice.error_type is QueryError:  # there is no query yet
        return Advice(_CONNECTION, "The server's log has the reason.")
    return advice
