"""What an error of Postgres means: wait and try again, change the connection, or change the query.

Errors are told apart by their SQLSTATE, never by psycopg's class or by English words, with two exceptions:
libpq gives no SQLSTATE for its own errors and for a refused connection. Its own sentences are always English.
For a refusal by the server, one more attempt is made, traced by libpq, to learn its SQLSTATE.

A sentence of Postgres is shown only where the server's parser wrote it about the text of the query. Anything
else may quote values of rows: a user function and a foreign server can put whatever they like into an error.
"""

from __future__ import annotations

import os
import re
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.errors import lookup

from airflow_provider_cio.errors import ConfigurationError, QueryError, SourceUnavailableError, SyncError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How long the second attempt to connect may take. It meets the same refusal, which comes at once.
_TRACE_SECONDS = 10
#: A shorter password would be found in the words of any sentence; Airflow hides none of these either.
_SHORTEST_HIDDEN = 5
#: The longest piece of a message that is shown.
_SHOWN_CHARACTERS = 300

_Kind: TypeAlias = "type[ConfigurationError | QueryError | SourceUnavailableError]"


class _Meaning(NamedTuple):
    """What to do about an error.

    Args:
        kind: The error to raise.
        remedy: A sentence that says what happened, or what to do.
    """

    kind: _Kind
    remedy: str


_PASSES = SourceUnavailableError
_CONNECTION = ConfigurationError
_QUERY = QueryError

#: By SQLSTATE, or by its first two characters, the class, for the others of it.
_MEANINGS: dict[str, _Meaning] = {
    # What passes.
    "08": _Meaning(_PASSES, "The connection to the server, or of the server to another one, broke."),
    "40": _Meaning(_PASSES, "The server ended the transaction in favour of another one."),
    "53": _Meaning(_PASSES, "The server is short of memory, disk space or connections."),
    "55P03": _Meaning(_PASSES, "Another session holds a lock, longer than lock_timeout allows."),
    "55006": _Meaning(_PASSES, "Another session uses the object."),
    "57": _Meaning(_PASSES, "The server ended the session."),
    "57014": _Meaning(
        _PASSES,
        "Somebody cancelled the query, or it took longer than statement_timeout allows: set statement_timeout"
        " in the spec, or make the query faster, for example with an index.",
    ),
    "57P03": _Meaning(_PASSES, "The server is starting up, shutting down or recovering."),
    "58": _Meaning(_PASSES, "The server met an error of its operating system; its log has the details."),
    "72000": _Meaning(_PASSES, "The snapshot became too old for the server (old_snapshot_threshold)."),
    "25P03": _Meaning(_PASSES, "The server ended the session (idle_in_transaction_session_timeout)."),
    "25P04": _Meaning(_PASSES, "The server ended the session (transaction_timeout)."),
    "XX000": _Meaning(_PASSES, "The server met an internal error; its log has the details."),
    # What the connection, the role or the server's settings have to change.
    "28": _Meaning(_CONNECTION, "Correct login and password of the connection, or let the role log in."),
    "28000": _Meaning(
        _CONNECTION,
        "If the server wants TLS, set sslmode to require or verify-full; otherwise its pg_hba.conf has to let"
        " this user in from this host, and the role needs LOGIN.",
    ),
    "28P01": _Meaning(_CONNECTION, "Correct login and password of the connection."),
    "3D000": _Meaning(_CONNECTION, "Correct the connection's database (its field Schema)."),
    "57P04": _Meaning(_CONNECTION, "The database was dropped. Correct the connection's database."),
    "XX001": _Meaning(_CONNECTION, "Data on the server are damaged; its log has the details."),
    "XX002": _Meaning(_CONNECTION, "An index on the server is damaged: REINDEX it."),
    "F0": _Meaning(_CONNECTION, "A configuration file of the server is wrong; its log has the details."),
    # What the query has to change, or the database objects that it reads.
    "0A": _Meaning(_QUERY, "The query must be one SELECT that changes nothing, as this server has it."),
    "21": _Meaning(_QUERY, "A subquery that has to give one row gives more: add LIMIT 1, or an aggregate."),
    "22": _Meaning(
        _QUERY, "A value does not fit the expression that uses it. Run the query in psql to see it."
    ),
    "22012": _Meaning(_QUERY, "A row divides by zero: divide by NULLIF(divisor, 0)."),
    "22P02": _Meaning(
        _QUERY, "A text cannot be read as the type it is cast to. Run the query in psql to see it."
    ),
    "22003": _Meaning(_QUERY, "A number is too large for its type: cast to numeric."),
    "22021": _Meaning(
        _QUERY,
        "A text has bytes that are not valid UTF-8, as it happens in databases of encoding SQL_ASCII. Convert"
        " it in the query, for example: convert_from(name::bytea, 'LATIN1') AS name",
    ),
    "22P05": _Meaning(_QUERY, "A text has a character that cannot be converted to UTF-8."),
    "25006": _Meaning(
        _QUERY, "A sync only reads. Remove what writes from the query: nextval(), functions that change data."
    ),
    "2F": _Meaning(_QUERY, "A function of the query is not allowed to do what it does: a sync only reads."),
    "34000": _Meaning(_QUERY, "The query must be one SELECT."),
    "38": _Meaning(_QUERY, "A function of the query failed. Run the query in psql to see its message."),
    "39": _Meaning(_QUERY, "A function of the query failed. Run the query in psql to see its message."),
    "3F000": _Meaning(_QUERY, "A schema in the query does not exist. Correct its name."),
    "42": _Meaning(_QUERY, "Correct the query. Running it in psql shows the same error."),
    "42501": _Meaning(
        _QUERY,
        "The connection's role lacks a permission. What the query uses has to be granted to it: GRANT SELECT"
        " on tables, views and sequences, USAGE on schemas, EXECUTE on functions.",
    ),
    "42601": _Meaning(_QUERY, "The query must be one SELECT. Correct its syntax."),
    "42703": _Meaning(_QUERY, "Correct the column's name."),
    "42P01": _Meaning(_QUERY, "Correct the table's name, or add its schema."),
    "42883": _Meaning(_QUERY, "Correct the function's name, or cast its arguments."),
    "44000": _Meaning(_QUERY, "A view's check failed. Run the query in psql to see it."),
    "53400": _Meaning(
        _QUERY,
        "The query exceeds a limit of the server, such as temp_file_limit: sort less, or raise the limit.",
    ),
    "54": _Meaning(
        _QUERY, "The query exceeds a limit of Postgres: make it simpler, or select fewer columns."
    ),
    "55": _Meaning(_QUERY, "Something that the query reads is not ready. Run the query in psql to see it."),
    "55000": _Meaning(
        _QUERY,
        "Something that the query reads is not ready. A materialized view that was created WITH NO DATA needs"
        " REFRESH MATERIALIZED VIEW.",
    ),
    "58P01": _Meaning(_QUERY, "A file that the server needs is missing, such as that of an extension."),
    "HV": _Meaning(_QUERY, "A foreign server failed. Run the query in psql to see its message."),
    "HV00N": _Meaning(_PASSES, "A foreign server cannot be reached."),
    "P0": _Meaning(
        _QUERY, "A function of the query raised an error. Run the query in psql to see its message."
    ),
}
_OTHER = _Meaning(_QUERY, "Run the query in psql to see the message.")
#: SQLSTATEs mean something else, or more, when a connection is refused.
_WHEN_CONNECTING: dict[str, _Meaning] = {
    "55000": _Meaning(_CONNECTION, "The database does not accept connections (ALLOW_CONNECTIONS is false)."),
    "42501": _Meaning(_CONNECTION, "GRANT CONNECT ON DATABASE to the connection's login."),
    "42704": _Meaning(_CONNECTION, "Correct options in the connection's extra: it names an unknown setting."),
    "22023": _Meaning(_CONNECTION, "Correct options in the connection's extra: a value is not valid."),
    "42601": _Meaning(_CONNECTION, "Correct options in the connection's extra, such as -c name=value."),
}
_REFUSED = _Meaning(_CONNECTION, "The server's log says why.")

_REFUSED_BY_POOLER = _Meaning(
    _CONNECTION, "Correct login, password, database and extra of the connection, or the pooler's settings."
)

#: What Postgres says of a message that does not fit, poolers of nearly anything.
_PROTOCOL_VIOLATION = "08P01"
#: The server's part that reads messages. It has no part in errors of functions and poolers.
_READER_OF_MESSAGES = "postgres.c"
_WITH_PARAMETERS = _Meaning(
    _QUERY, "The query has a parameter such as $1, and a sync gives none. Write the value in its place."
)
_STATEMENT_POOLING = "statement pooling mode"
_POOLED_BY_STATEMENT = _Meaning(
    _CONNECTION,
    "The pooler gives every statement another connection. Its pool_mode has to be transaction or session.",
)

#: Classes of which the parser writes errors about the text of a query.
_PARSER_CLASSES = ("42", "0A", "3F")
_SYNTAX_ERROR = "42601"
_PERMISSION_DENIED = re.compile(r"permission denied for [a-z ]+ [\w.$\"]+")

#: What libpq finds wrong before, or instead of, an answer, and what to do. The rest is an outage.
_LIBPQ_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        "certificate verify failed",
        "The server's certificate has to come from an authority in sslrootcert; neither may have expired.",
    ),
    ("does not match host name", "Give the connection a host that the certificate is for."),
    ("root certificate file", "Let sslrootcert name a PEM file that every worker can read."),
    (
        "private key file",
        "Let sslkey name a file that every worker can read and other users cannot (chmod 0600).",
    ),
    ("certificate file", "Let sslcert and sslkey name PEM files that every worker can read."),
    ("could not read certificate", "Let sslcert name a PEM file that every worker can read."),
    ("could not load", "Let sslcert, sslkey and sslrootcert name PEM files that every worker can read."),
    ("could not read root certificate", "Let sslrootcert name a PEM file that every worker can read."),
    ("certificate revocation", "Let sslcrl name a PEM file that every worker can read."),
    ("server does not support SSL", "Turn TLS on at the server; sslmode prefer also does without."),
    ("GSSAPI encryption required", "Set gssencmode to prefer or disable in the connection's extra."),
    ("server does not support GSSAPI", "Set gssencmode to prefer or disable in the connection's extra."),
    ("invalid response to SSL negotiation", "What answers there is not Postgres: correct host and port."),
    ("invalid response to GSSAPI negotiation", "What answers there is not Postgres: correct host and port."),
    ("expected authentication request", "What answers there is not Postgres: correct host and port."),
    (
        "unsupported frontend protocol",
        "What answers there is too old, or not Postgres: correct host and port.",
    ),
    ("no password supplied", "Give the connection a password."),
    ("password retrieved from file", "Correct the password in the file that passfile names."),
    ("channel binding", "Set channel_binding to prefer in the connection's extra, or use TLS."),
    (
        "authentication method requirement",
        "The server asks for another authentication than require_auth allows.",
    ),
    ("authentication method", "The server asks for an authentication that this client does not have."),
    ("SASL", "The server asks for an authentication that this client does not have."),
    ("SSL error: sslv3", "Server and client have no version of TLS, or no certificate, in common."),
    ("SSL error: tlsv1", "Server and client have no version of TLS, or no certificate, in common."),
    ("wrong version number", "What answers there does not speak TLS: correct host and port, or sslmode."),
    ("unsupported protocol", "Server and client have no version of TLS in common."),
    (
        "no protocols available",
        "ssl_min_protocol_version and ssl_max_protocol_version leave no version of TLS.",
    ),
    ("invalid sslmode value", "It is one of disable, allow, prefer, require, verify-ca and verify-full."),
    ("sslmode value", "It is one of disable, allow, prefer, require, verify-ca and verify-full."),
    (' value: "', "Correct the connection's extra: a setting has a value that libpq does not know."),
    ("invalid when", "Correct the connection's extra: a setting has a value that libpq does not have."),
    ("weak sslmode", "sslrootcert system needs sslmode verify-full."),
    ("invalid port number", "Correct the connection's port: it is a number from 1 to 65535."),
    ("invalid integer value", "Correct the connection's extra: a setting has to be a whole number."),
    ("invalid value for", "Correct the connection's extra: a setting has a value that libpq does not know."),
    ("definition of service", "Correct service in the connection's extra."),
    ("service file", "Correct service in the connection's extra."),
    ("Unix-domain socket path", "Correct the connection's host: the path of a socket is too long."),
    ("could not match", "Correct host and port: each host needs a port, or all have the same."),
    ("could not parse", "Correct the connection's host."),
)
#: What libpq says of an outage. Only these are shown: other sentences can quote what the connection holds.
_OUTAGES = (
    "Connection refused",
    "No such file or directory",
    "timeout expired",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "Connection reset by peer",
    "server closed the connection unexpectedly",
    "EOF detected",
    "Name or service not known",
    "Temporary failure in name resolution",
    "No address associated with hostname",
)
#: What servers and poolers say in English of a refusal that passes. Poolers have no fitting SQLSTATE for it.
_PASSING_WORDS = re.compile(
    r"too many (clients|connections)|connection limit|connection slots|max(imum)? (client )?connections"
    r"|no more connections|starting up|shutting down|recovery mode|not yet accepting|cannot connect to server"
    r"|query_wait_timeout|server_login_retry|server login (has been )?fail|login_timeout"
    r"|all backend nodes? (are|is) down|client_idle_timeout|read-only|hot standby",
    re.IGNORECASE,
)
#: Between severity and sentence, libpq puts two spaces where a server answered.
_ANSWER = re.compile(r"(?:^|: )[^:\n]+:  (\S[^\n]*)")


def query_error(error: psycopg.Error, query: str, before: int) -> SyncError:
    """Say what an error means that Postgres found in the text of a query.

    Args:
        error: The error.
        query: The query as it is in the spec, rendered.
        before: How many characters were sent before the query's own text.
    """
    meaning = _meaning(error)
    if meaning.kind is not QueryError:
        return _raised(meaning, "Postgres ended the query", error)
    place = _place(error, query, before)
    said = _parser_sentence(error)
    found = f"Postgres refuses the query{place}: {said}" if said else f"Postgres refuses the query{place}"
    return QueryError(f"{found} ({_code(error)}). {meaning.remedy}")


def source_error(error: psycopg.Error) -> SyncError:
    """Say what an error means that Postgres met at work: when a query's rows were computed, for example."""
    meaning = _meaning(error)
    did = "Postgres could not compute a row" if meaning.kind is QueryError else "Postgres ended the query"
    return _raised(meaning, did, error)


def value_error(error: Exception) -> QueryError:
    """Say what an error means that psycopg met when it read a value."""
    return QueryError(
        f"A value of the query cannot be read ({type(error).__name__}): cast the column that has it to text"
    )


def connection_error(error: psycopg.OperationalError) -> SyncError:
    """Say what a failed attempt to connect means.

    An answer by the server means that a person has to change something, except for the few that pass. No
    answer is an outage.
    """
    message = str(error)
    answer = _ANSWER.search(message)
    if answer:
        return _refusal(error, answer.group(1))
    for words, remedy in _LIBPQ_REMEDIES:
        if words in message:
            return ConfigurationError(
                f"Postgres cannot be reached: {_sentence_with(words, message)}. {remedy}"
            )
    if _PASSING_WORDS.search(
        message
    ):  # such as a session that is read-only, where target_session_attrs is not
        return SourceUnavailableError("Postgres cannot be reached: no server of this kind answers")
    reason = next((words for words in _OUTAGES if words in message), "no answer")
    return SourceUnavailableError(
        f"Postgres cannot be reached: {reason}. Check that it runs, and host and port of the connection."
    )


def _refusal(error: psycopg.OperationalError, sentence: str) -> SyncError:
    """Say what it means that a server, or a pooler before it, refuses a connection."""
    if _PASSING_WORDS.search(sentence):
        return SourceUnavailableError("Postgres cannot be reached for now: it is starting, stopping or full.")
    sqlstate = _traced_sqlstate(error.pgconn)
    meaning = _WHEN_CONNECTING.get(sqlstate) or _MEANINGS.get(sqlstate) or _MEANINGS.get(sqlstate[:2])
    if meaning is None or meaning.kind is QueryError:
        meaning = _REFUSED
    if sqlstate[:2] == "08":  # what poolers answer to anything, such as a database that they do not know
        meaning = _REFUSED_BY_POOLER
    # The server's own code writes these about login, database and host.
    shown = _hidden(sentence, error.pgconn) if sqlstate[:2] in ("28", "3D", "08") else "it refuses"
    code = f" ({sqlstate})" if sqlstate else ""
    return meaning.kind(f"Postgres cannot be reached: {shown}{code}. {meaning.remedy}")


def _raised(meaning: _Meaning, did: str, error: psycopg.Error) -> SyncError:
    code = _code(error)
    return meaning.kind(f"{did} ({code}). {meaning.remedy}" if code else f"{did}. {meaning.remedy}")


def _meaning(error: psycopg.Error) -> _Meaning:
    if not error.sqlstate:  # from the client: the connection broke, or half an answer arrived
        passes = isinstance(error, (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError))
        return _Meaning(_PASSES, "The connection broke.") if passes else _OTHER
    if error.sqlstate == _PROTOCOL_VIOLATION:
        if error.diag.source_file == _READER_OF_MESSAGES:
            return _WITH_PARAMETERS
        if _STATEMENT_POOLING in (error.diag.message_primary or ""):
            return _POOLED_BY_STATEMENT
    return _MEANINGS.get(error.sqlstate) or _MEANINGS.get(error.sqlstate[:2]) or _OTHER


def _code(error: psycopg.Error) -> str:
    """Name an error by its class, as psycopg has it, and its SQLSTATE."""
    if not error.sqlstate:
        return ""
    try:
        return f"{lookup(error.sqlstate).__name__}, SQLSTATE {error.sqlstate}"
    except KeyError:  # a function may raise any
        return f"SQLSTATE {error.sqlstate}"


def _place(error: psycopg.Error, query: str, before: int) -> str:
    """Say where in the query an error is, if Postgres says it."""
    position = error.diag.statement_position
    if not position or not 0 < int(position) - before <= len(query) + 1:
        return ""
    text = query[: int(position) - before - 1]
    return f" at line {text.count(chr(10)) + 1}, column {len(text) - (text.rfind(chr(10)) + 1) + 1}"


def _parser_sentence(error: psycopg.Error) -> str:
    """Give the server's sentence where its parser wrote it about the text of the query, else nothing."""
    diagnostic = error.diag
    sentence = diagnostic.message_primary or ""
    if diagnostic.context or not (error.sqlstate or "").startswith(_PARSER_CLASSES):
        return ""
    about_text = diagnostic.statement_position or error.sqlstate == _SYNTAX_ERROR
    return sentence[:_SHOWN_CHARACTERS] if about_text or _PERMISSION_DENIED.fullmatch(sentence) else ""


def _sentence_with(words: str, message: str) -> str:
    """Give the line of libpq's message that has these words, without what comes before its last part."""
    line = next(line for line in message.splitlines() if words in line)
    return line.rpartition(" failed: ")[2].removeprefix("connection is bad: ")[:_SHOWN_CHARACTERS]


def _hidden(sentence: str, pgconn: pq.abc.PGconn | None) -> str:
    """Give a sentence without the password, which a wrong connection may have in another field."""
    password = pgconn.password.decode(errors="replace") if pgconn else ""
    if len(password) >= _SHORTEST_HIDDEN:
        sentence = sentence.replace(password, "***")
    return sentence[:_SHOWN_CHARACTERS].rstrip(".")


def _traced_sqlstate(pgconn: pq.abc.PGconn | None) -> str:
    """Connect once more, to learn the SQLSTATE of a refusal; empty where that is not to be had.

    libpq does not give it out, but writes it into a trace.
    """
    if pgconn is None or not hasattr(os, "memfd_create"):
        return ""
    options = {option.keyword.decode(): option.val.decode() for option in pgconn.info if option.val}
    trace = os.memfd_create("customerio-trace")  # memory only: the trace has what is sent, the password too
    try:
        with suppress(Exception):  # what is learned here only makes a message better
            _connect_traced(make_conninfo("", **options).encode(), trace)
        os.lseek(trace, 0, os.SEEK_SET)
        with os.fdopen(os.dup(trace), "rb") as written:
            found = re.findall(rb'\tErrorResponse\t.*? C "([0-9A-Z]{5})" ', written.read())
    finally:
        os.close(trace)
    return found[-1].decode() if found else ""


def _connect_traced(conninfo: bytes, trace: int) -> None:
    deadline = time.monotonic() + _TRACE_SECONDS
    connection = pq.PGconn.connect_start(conninfo)
    try:
        connection.trace(trace)
        while time.monotonic() < deadline:
            status = connection.connect_poll()
            if status not in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
                return
            sockets: Sequence[int] = [connection.socket]
            wanted = ([], sockets) if status == pq.PollingStatus.WRITING else (sockets, [])
            select.select(*wanted, [], max(deadline - time.monotonic(), 0))
    finally:
        connection.untrace()  # writes what is still buffered
        connection.finish()
