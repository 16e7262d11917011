"""Translate a failed attempt to connect to Postgres into one of our errors.

A response from the server means that a person has to change something, except when the server is starting,
stopping or full. No response is an outage.

libpq gives no SQLSTATE for its own errors, nor for a connection that a server refuses. Its own messages are
always in English, so they are recognised by their words. For a refusal, `refusal_sqlstate` connects a second
time to learn the SQLSTATE.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_cio.engine.sources.postgres.refusal_sqlstate import refusal_sqlstate
from airflow_provider_cio.engine.sources.postgres.safe_messages import libpq_message, refusal_message
from airflow_provider_cio.engine.sources.postgres.sqlstates import Advice, connecting_advice
from airflow_provider_cio.errors import ConfigurationError, SourceUnavailableError, SyncError

if TYPE_CHECKING:
    import psycopg

_NOT_POSTGRES = "The server at this address is not Postgres. Correct host and port."
_NO_COMMON_TLS = (
    "Server and client have no TLS version, or no certificate, in common. Correct the sslmode, sslcert and"
    " ssl_min_protocol_version of the connection, or the server's settings."
)
_UNSUPPORTED_AUTHENTICATION = (
    "The server requires an authentication method that this client does not support. Change it in the"
    " server's pg_hba.conf."
)
_UNKNOWN_VALUE = "Correct the connection's extra: libpq does not know the value of a setting."
_GSSENCMODE = "Set gssencmode to prefer or disable in the connection's extra."
_SSLMODE = "Use disable, allow, prefer, require, verify-ca or verify-full."
_SSLCERT = "Set sslcert and sslkey to PEM files that every worker can read."
_SSLROOTCERT = "Set sslrootcert to a PEM file that every worker can read."
_SERVICE = "Correct service in the connection's extra."

#: Words of libpq's messages, with what to do. The first words that occur in a message decide.
_LIBPQ_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        "certificate verify failed",
        "The server's certificate must come from an authority in sslrootcert, and neither may have expired.",
    ),
    ("does not match host name", "Set the connection's host to a name that the certificate is for."),
    ("root certificate file", _SSLROOTCERT),
    (
        "private key file",
        "Set sslkey to a file that every worker can read and other users cannot (chmod 0600).",
    ),
    ("certificate file", _SSLCERT),
    ("could not read certificate", "Set sslcert to a PEM file that every worker can read."),
    ("could not load", "Set sslcert, sslkey and sslrootcert to PEM files that every worker can read."),
    ("could not read root certificate", _SSLROOTCERT),
    ("certificate revocation", "Set sslcrl to a PEM file that every worker can read."),
    (
        "server does not support SSL",
        "Turn TLS on in the server, or set sslmode to prefer to connect without TLS.",
    ),
    ("GSSAPI encryption required", _GSSENCMODE),
    ("server does not support GSSAPI", _GSSENCMODE),
    ("invalid response to SSL negotiation", _NOT_POSTGRES),
    ("invalid response to GSSAPI negotiation", _NOT_POSTGRES),
    ("expected authentication request", _NOT_POSTGRES),
    (
        "unsupported frontend protocol",
        "The server at this address is too old, or not Postgres. Correct host and port.",
    ),
    ("no password supplied", "Add the password to the connection."),
    ("password retrieved from file", "Correct the password in the file that passfile names."),
    ("channel binding", "Set channel_binding to prefer in the connection's extra, or use TLS."),
    (
        "authentication method requirement",
        "The server requires another authentication method than require_auth allows. Correct require_auth.",
    ),
    ("authentication method", _UNSUPPORTED_AUTHENTICATION),
    ("SASL", _UNSUPPORTED_AUTHENTICATION),
    ("SSL error: sslv3", _NO_COMMON_TLS),
    ("SSL error: tlsv1", _NO_COMMON_TLS),
    ("wrong version number", "The server at this address does not use TLS. Correct host, port or sslmode."),
    ("unsupported protocol", _NO_COMMON_TLS),
    (
        "no protocols available",
        "No TLS version lies between ssl_min_protocol_version and ssl_max_protocol_version. Correct them.",
    ),
    ("invalid sslmode value", _SSLMODE),
    ("sslmode value", _SSLMODE),
    (' value: "', _UNKNOWN_VALUE),
    ("invalid when", "Correct the connection's extra: this build of libpq does not support a setting."),
    ("weak sslmode", "Set sslmode to verify-full: sslrootcert=system requires it."),
    ("invalid port number", "Correct the connection's port: use a number from 1 to 65535."),
    ("invalid integer value", "Correct the connection's extra: a setting must be a whole number."),
    ("invalid value for", _UNKNOWN_VALUE),
    ("definition of service", _SERVICE),
    ("service file", _SERVICE),
    ("Unix-domain socket path", "Correct the connection's host: the path of the socket is too long."),
    ("could not match", "Correct host and port: give one port for each host, or one port for all."),
    ("could not parse", "Correct the connection's host."),
)
#: Words of libpq's messages about outages. A log gets only these words, because the message also quotes the
#: host, in which people put passwords by mistake.
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
#: English words about refusals that pass. Poolers have no fitting SQLSTATE for them.
_TRANSIENT_WORDS = re.compile(
    r"too many (clients|connections)|connection limit|connection slots|max(imum)? (client )?connections"
    r"|no more connections|starting up|shutting down|recovery mode|not yet accepting|cannot connect to server"
    r"|query_wait_timeout|server_login_retry|server login (has been )?fail|login_timeout"
    r"|all backend nodes? (are|is) down|client_idle_timeout|read-only|hot standby",
    re.IGNORECASE,
)
#: libpq writes two spaces between the severity and the message of a server's response.
_SERVER_RESPONSE = re.compile(r"(?:^|: )[^:\n]+:  (\S[^\n]*)")

#: Poolers answer with this class to anything, such as a database that is not in their configuration.
_POOLER_CLASS = "08"
_POOLER_REFUSED = Advice(
    ConfigurationError,
    "Correct the login, password, database and extra of the connection, or the pooler's configuration.",
)


def connection_error(error: psycopg.OperationalError) -> SyncError:
    """Translate the error of a failed attempt to connect."""
    message = str(error)
    if response := _SERVER_RESPONSE.search(message):
        return _refusal(error, response.group(1))
    for words, remedy in _LIBPQ_REMEDIES:
        if words in message:
            return ConfigurationError(
                f"Cannot connect to Postgres: {libpq_message(message, words)}. {remedy}"
            )
    if _TRANSIENT_WORDS.search(message):  # such as "session is read-only"
        return SourceUnavailableError(
            "Cannot connect to Postgres: no server of the kind that target_session_attrs requires is up."
        )
    reason = next((words for words in _OUTAGES if words in message), "no response")
    return SourceUnavailableError(
        f"Cannot connect to Postgres: {reason}. Check that the server runs, and check host and port."
    )


def _refusal(error: psycopg.OperationalError, message: str) -> SyncError:
    """Translate the message with which a server, or a pooler in front of it, refuses a connection."""
    if _TRANSIENT_WORDS.search(message):
        return SourceUnavailableError(
            "Cannot connect to Postgres: the server is starting, stopping or out of connections."
        )
    sqlstate = refusal_sqlstate(error.pgconn)
    is_pooler = sqlstate.startswith(_POOLER_CLASS)
    advice = _POOLER_REFUSED if is_pooler else connecting_advice(sqlstate)
    reason = refusal_message(message, sqlstate, error.pgconn) or "the server refused the connection"
    code = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    return advice.error_type(f"Cannot connect to Postgres: {reason}{code}. {advice.remedy}")
