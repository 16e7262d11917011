"""The SQLSTATE of a connection that Postgres refused.

libpq does not return that SQLSTATE, but it writes the server's response into a trace. So a second, traced
attempt is made, which the server refuses in the same way.
"""

from __future__ import annotations

import os
import re
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from psycopg import pq
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The longest time of the second attempt. The refusal usually arrives within milliseconds.
_SECONDS = 10
_SQLSTATE = re.compile(rb'\tErrorResponse\t.*? C "([0-9A-Z]{5})" ')


def refusal_sqlstate(pgconn: pq.abc.PGconn | None) -> str:
    """Connect a second time and return the SQLSTATE of the refusal; empty if it cannot be learned.

    Args:
        pgconn: The connection that was refused.
    """
    if pgconn is None or not hasattr(os, "memfd_create"):
        return ""
    parameters = {option.keyword.decode(): option.val.decode() for option in pgconn.info if option.val}
    # In memory, because the trace contains all that is sent, and so the password.
    trace = os.memfd_create("customerio-trace")
    try:
        with suppress(Exception):  # the SQLSTATE only improves an error message
            _connect(make_conninfo("", **parameters).encode(), trace)
        os.lseek(trace, 0, os.SEEK_SET)
        with os.fdopen(os.dup(trace), "rb") as file:
            found = _SQLSTATE.findall(file.read())
    finally:
        os.close(trace)
    return found[-1].decode() if found else ""


def _connect(conninfo: bytes, trace: int) -> None:
    """Open a connection, trace it into a file, and close it."""
    deadline = time.monotonic() + _SECONDS
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
        connection.untrace()  # flushes the trace
        connection.finish()
