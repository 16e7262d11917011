"""A Postgres connection on which no wait is endless, whatever the network does.

All work on the connection is done in a daemon thread; the caller waits for it with a bound. When nothing has
come from Postgres for `SILENCE_SECONDS`, a second connection looks whether the server still works for us. A
session that is aborted shuts its socket, which ends whatever the thread waits for.
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
from airflow_provider_cio.engine.sources.postgres.errors import source_error
from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: After so many seconds without a byte from Postgres, look whether it still works for us. A query may compute
#: for hours, so silence alone is not an error; five minutes keep a dead connection from blocking a workspace.
SILENCE_SECONDS = 300
#: How long that look may take. A healthy server answers in milliseconds.
_LOOK_SECONDS = 30
#: How long cancelling a query may take: Airflow kills a task 5 s after it asked it to end.
_CANCEL_SECONDS = 2
#: How long an orderly end may take. Without one, Postgres ends the transaction when the connection is gone.
_CLOSE_SECONDS = 5

#: TCP finds a dead peer in about two minutes; the system's default is more than two hours.
_KEEPALIVE = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6}
_KEEPALIVE_OPTIONS = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
}
#: Milliseconds for which sent data may stay unacknowledged.
_USER_TIMEOUT = 120_000

# A backend that waits for its client does not work for us any more: its last answer was lost on the way.
_WORKS_FOR_US = """
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
        self._heard_at = time.monotonic()
        #: The process id of the backend that works for us, once it is known.
        self.backend: int | None = None

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection. Use it in functions that are given to `run` only."""
        if self._opened is None:
            raise RuntimeError("open() comes first")
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
            SourceUnavailableError: Postgres is silent, and a second connection finds that it does not work
                for us any more.
        """
        self.note_answer()
        future = self.submit(function, *args, **kwargs)
        self.wait_until(lambda seconds: _is_done(future, seconds))
        return future.result()

    def submit(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call a function in the connection's thread and do not wait for it."""
        return self._worker.submit(function, *args, **kwargs)

    def wait_until(self, wait: Callable[[float], bool]) -> None:
        """Wait as long as Postgres answers, or works for us.

        Args:
            wait: Waits for so many seconds at most and says whether what is waited for has happened.

        Raises:
            SourceUnavailableError: Postgres does not work for us any more.
        """
        while not wait(max(self._heard_at + SILENCE_SECONDS - time.monotonic(), 0)):
            if time.monotonic() >= self._heard_at + SILENCE_SECONDS:
                self._check_backend()
                self.note_answer()

    def note_answer(self) -> None:
        """Note that something has come from Postgres just now."""
        self._heard_at = time.monotonic()

    def cancel(self) -> None:
        """End the query under way. Takes `_CANCEL_SECONDS` at most; safe in a signal handler."""
        if self._opened is None:
            return
        # Whatever goes wrong here, the server ends the query when it notices that the connection is gone.
        with suppress(Exception):
            future = self._canceller.submit(self._opened.cancel_safe, timeout=_CANCEL_SECONDS)
            future.result(_CANCEL_SECONDS)

    def abort(self) -> None:
        """End the session at once, with the query under way. Takes a few seconds at most."""
        self._aborted = True
        if self._opened is not None:
            self.cancel()
            _shut(self._opened)
        self.submit(self._close)

    def close(self) -> None:
        """End the session in order, as long as that takes no longer than a few seconds."""
        try:
            self.submit(self._commit).result(_CLOSE_SECONDS)
        except (TimeoutError, psycopg.Error):  # all rows were read: nothing is lost
            self.abort()

    def _open(self) -> None:
        try:
            connection = self._connect()
        except psycopg.OperationalError as error:
            raise connection_error(error) from None
        except psycopg.Error as error:  # its text can quote the parameters, the password among them
            raise ConfigurationError(
                f"The parameters of the Postgres connection cannot be used ({type(error).__name__})."
                " Correct its host, port, database and extra."
            ) from None
        if self._aborted:
            connection.close()
            return
        self._opened = connection
        connection.autocommit = True
        connection.row_factory = tuple_row  # an Airflow connection may ask for another
        connection.cursor_factory = psycopg.Cursor
        connection.prepare_threshold = None  # a pooler may give each transaction another server connection
        _keep_alive(connection)
        try:
            if connection.info.parameter_status("client_encoding") != "UTF8":
                connection.execute("SET client_encoding = 'UTF8'")
        except psycopg.Error as error:
            raise source_error(error) from None

    def _commit(self) -> None:
        if self._opened is not None:
            self._opened.commit()  # a query may have notified other sessions
        self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()  # without a ROLLBACK, which would be waited for; Postgres does that itself
        self._worker.close()
        self._canceller.close()

    def _check_backend(self) -> None:
        """Do nothing when the backend still works for us."""
        try:
            works = self._canceller.submit(self._works_for_us).result(_LOOK_SECONDS)
        except Exception:  # noqa: BLE001 - a server that cannot be asked is as good as gone
            works = False
        if not works:
            raise SourceUnavailableError(
                f"Postgres sent nothing for {SILENCE_SECONDS} s, and a second connection did not find it at"
                " work for this run. A proxy or firewall between the two may have dropped the connection."
            )

    def _works_for_us(self) -> bool:
        if self.backend is None:
            return False
        connection = self._connect()
        try:
            connection.row_factory = tuple_row
            found = connection.execute(_WORKS_FOR_US, [self.backend]).fetchone()
        finally:
            connection.close()
        return bool(found and found[0])


def _is_done(future: Future[Any], seconds: float) -> bool:
    """Wait for a future, but not for its result."""
    with suppress(TimeoutError, Exception):
        future.exception(seconds)
    return future.done()


def _keep_alive(connection: psycopg.Connection[Any]) -> None:
    """Let TCP find out in minutes that the peer is gone, unless the connection's parameters differ."""
    given = connection.info.get_parameters()
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as tcp:
        if tcp.family not in (socket.AF_INET, socket.AF_INET6) or given.get("keepalives") == "0":
            return
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            option = getattr(socket, _KEEPALIVE_OPTIONS[name], None)  # not every system has all of them
            if option is not None and name not in given:
                tcp.setsockopt(socket.IPPROTO_TCP, option, value)
        if hasattr(socket, "TCP_USER_TIMEOUT") and "tcp_user_timeout" not in given:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT)


def _shut(connection: psycopg.Connection[Any]) -> None:
    """Shut the connection's socket, so that nothing in another thread waits for it any more."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as tcp:
        tcp.shutdown(socket.SHUT_RDWR)
