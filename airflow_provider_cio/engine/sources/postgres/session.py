"""A Postgres connection that never blocks a run for ever, whatever the network does.

A daemon thread does all work on the connection, and the caller waits for it with a limit. When Postgres has
sent nothing for `SILENCE_SECONDS`, a second connection checks whether our backend is still active. A session
that is aborted shuts its socket down, so that the thread stops waiting.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import psycopg
from psycopg.rows import tuple_row

from airflow_provider_cio.engine.sources.postgres.connection_errors import connection_error
from airflow_provider_cio.engine.sources.postgres.errors import execution_error
from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Seconds without a byte from Postgres after which our backend is checked. A query can compute for hours, so
#: silence alone is not an error. Five minutes limit how long a dead connection blocks a workspace.
SILENCE_SECONDS = 300
#: The longest time of that check. A healthy server responds in milliseconds.
BACKEND_CHECK_SECONDS = 30
#: The longest time to cancel a query. Airflow kills a task 5 s after it sent SIGTERM.
_CANCEL_SECONDS = 2
#: The longest time to close a session in order. After that, Postgres ends the transaction by itself.
_CLOSE_SECONDS = 5

#: With these, TCP detects a dead peer in about two minutes. The system's default is more than two hours.
_KEEPALIVE = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6}
_KEEPALIVE_OPTIONS = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
}
#: Milliseconds after which TCP gives up on data that the peer does not acknowledge.
_USER_TIMEOUT = 120_000

# A backend that waits for its client has sent its last response, which was lost on the way.
_IS_ACTIVE = """
SELECT coalesce(wait_event, '') NOT IN ('ClientRead', 'ClientWrite')
FROM pg_stat_activity WHERE pid = %s
"""


class Session:
    """One connection and the thread that uses it.

    Args:
        connect: Opens a connection.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._worker = Worker("customerio-source")
        self._canceller = Worker("customerio-source-cancel")
        self._opened: psycopg.Connection[Any] | None = None
        self._aborted = False
        self._last_received = time.monotonic()
        #: The process id of our backend, once it is known.
        self.backend: int | None = None

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection. Use it only in functions that are passed to `run` or `submit`."""
        if self._opened is None:
            raise RuntimeError("Call open() before you use the connection")
        return self._opened

    def open(self) -> None:
        """Open the connection.

        Raises:
            ConfigurationError: A person has to change the connection.
            SourceUnavailableError: Postgres cannot be reached.
        """
        self.run(self._open)

    def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function that uses the connection, and wait for its result.

        Raises:
            SourceUnavailableError: Postgres sends nothing, and our backend is not active any more.
        """
        self.mark_received()
        future = self.submit(function, *args, **kwargs)
        self.wait_until(lambda seconds: _is_done(future, seconds))
        return future.result()

    def submit(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call a function in the thread of the connection, and return its future."""
        return self._worker.submit(function, *args, **kwargs)

    def wait_until(self, wait: Callable[[float], bool]) -> None:
        """Wait for an event, as long as Postgres sends something or our backend is active.

        Args:
            wait: Waits for the event, for a number of seconds at most, and returns whether it has happened.

        Raises:
            SourceUnavailableError: Postgres sends nothing, and our backend is not active any more.
        """
        while not wait(max(self._last_received + SILENCE_SECONDS - time.monotonic(), 0)):
            if time.monotonic() >= self._last_received + SILENCE_SECONDS:
                self._check_backend()
                self.mark_received()

    def mark_received(self) -> None:
        """Record that Postgres has just sent something."""
        self._last_received = time.monotonic()

    def cancel(self) -> None:
        """Cancel the query that is running. Safe in a signal handler: takes `_CANCEL_SECONDS` at most."""
        if self._opened is None:
            return
        # If this fails, the server ends the query when it notices that the connection is closed.
        with suppress(Exception):
            future = self._canceller.submit(self._opened.cancel_safe, timeout=_CANCEL_SECONDS)
            future.result(_CANCEL_SECONDS)

    def abort(self) -> None:
        """Cancel the query that is running, and end the session. Takes a few seconds at most."""
        self._aborted = True
        if self._opened is not None:
            self.cancel()
            _shut_down(self._opened)
        self.submit(self._close)

    def close(self) -> None:
        """End the session in order; abort it if that takes longer than `_CLOSE_SECONDS`."""
        try:
            self.submit(self._commit).result(_CLOSE_SECONDS)
        except (TimeoutError, psycopg.Error):  # nothing is lost, because all rows were read
            self.abort()

    def _open(self) -> None:
        try:
            connection = self._connect()
        except psycopg.OperationalError as error:
            raise connection_error(error) from None
        except psycopg.Error as error:  # its text can quote the password
            raise ConfigurationError(
                f"The Postgres connection cannot be used ({type(error).__name__}). Correct its host, port,"
                " database and extra."
            ) from None
        if self._aborted:
            connection.close()
            return
        self._opened = connection
        connection.autocommit = True
        connection.row_factory = tuple_row  # an Airflow connection can set another one
        connection.cursor_factory = psycopg.Cursor
        connection.prepare_threshold = None  # a pooler can use another server for each transaction
        _set_keepalive(connection)
        try:
            if connection.info.parameter_status("client_encoding") != "UTF8":
                connection.execute("SET client_encoding = 'UTF8'")
        except psycopg.Error as error:
            raise execution_error(error) from None

    def _commit(self) -> None:
        if self._opened is not None:
            self._opened.commit()  # a function in the query may have sent a NOTIFY
        self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()  # without a ROLLBACK, which could block; Postgres does it itself
        self._worker.close()
        self._canceller.close()

    def _check_backend(self) -> None:
        """Raise an error unless our backend is active."""
        try:
            is_active = self._canceller.submit(self._is_backend_active).result(BACKEND_CHECK_SECONDS)
        except Exception:  # noqa: BLE001 - a server that cannot be reached is down for this run, too
            is_active = False
        if not is_active:
            raise SourceUnavailableError(
                f"Postgres sent nothing for {SILENCE_SECONDS} s, and a second connection did not find the"
                " query running. Check whether a proxy or firewall drops idle connections."
            )

    def _is_backend_active(self) -> bool:
        """Open a second connection, and return whether our backend is still working."""
        if self.backend is None:
            return False
        connection = self._connect()
        try:
            connection.row_factory = tuple_row
            found = connection.execute(_IS_ACTIVE, [self.backend]).fetchone()
        finally:
            connection.close()
        return bool(found and found[0])


def _is_done(future: Future[Any], seconds: float) -> bool:
    """Wait for a future, and return whether it is done. Does not raise the exception of the future."""
    with suppress(TimeoutError, Exception):
        future.exception(seconds)
    return future.done()


def _set_keepalive(connection: psycopg.Connection[Any]) -> None:
    """Turn TCP keepalive on, except for the settings that the connection's parameters give."""
    given = connection.info.get_parameters()
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as tcp:
        if tcp.family not in (socket.AF_INET, socket.AF_INET6) or given.get("keepalives") == "0":
            return
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            option = getattr(socket, _KEEPALIVE_OPTIONS[name], None)  # some systems lack some of them
            if option is not None and name not in given:
                tcp.setsockopt(socket.IPPROTO_TCP, option, value)
        if hasattr(socket, "TCP_USER_TIMEOUT") and "tcp_user_timeout" not in given:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT)


def _shut_down(connection: psycopg.Connection[Any]) -> None:
    """Shut the connection's socket down, so that the other thread stops waiting for it."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as tcp:
        tcp.shutdown(socket.SHUT_RDWR)
