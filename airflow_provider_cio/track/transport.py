"""Connections whose answers are bounded in seconds and in bytes.

The timeouts of requests and urllib3 hold between two reads, so that a server which sends a byte now and then
keeps a request alive for ever. Here each read and each write has what is left of the request's whole time.
They wait in short slices, in which a request also notices that its client was stopped.
"""

from __future__ import annotations

import http.client
import io
import math
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from airflow_provider_cio.errors import StoppedError, UnavailableError
from airflow_provider_cio.track.bounds import CONNECT_SECONDS, HEADER_BYTES, STOP_CHECK_SECONDS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from urllib3.poolmanager import ProxyManager

_T = TypeVar("_T")

#: The largest window of zlib, with the header of either gzip or zlib.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class _Budget(threading.local):
    """What the request of this thread may still take. urllib3 hands nothing of the kind to a connection."""

    seconds = math.inf
    deadline = math.inf
    answer_bytes = 0
    bytes_left = 0

    def begin(self, seconds: float, answer_bytes: int, is_stopped: Callable[[], bool]) -> None:
        """Begin a request."""
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.answer_bytes = answer_bytes
        self.bytes_left = HEADER_BYTES
        self.is_stopped = is_stopped

    def seconds_left(self) -> float:
        """Return what is left of the request's time.

        Raises:
            StoppedError: The client was stopped.
            UnavailableError: Nothing is left.
        """
        if self.is_stopped():
            raise StoppedError("the run was told to stop")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise UnavailableError(f"Customer.io did not answer completely within {self.seconds:g} s")
        return left


#: The budget of the current thread's request.
BUDGET = _Budget()


def _patiently(sock: socket.socket, call: Callable[..., _T], *args: object) -> _T:
    """Make a call on a socket, which may wait for as long as the budget lasts."""
    while True:
        sock.settimeout(min(BUDGET.seconds_left(), STOP_CHECK_SECONDS))
        try:
            return call(*args)
        except TimeoutError:
            continue


class _Received(io.RawIOBase):
    """What comes out of a socket, within the budget."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._keeps_open = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = _patiently(self._sock, self._sock.recv_into, buffer)
        BUDGET.bytes_left -= count
        if BUDGET.bytes_left < 0:
            raise UnavailableError(
                "Customer.io sent an answer that is larger than any that its API documents"
            )
        return count

    def close(self) -> None:
        self._keeps_open.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read within the budget, and whose headers mean one thing only."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        received = io.BufferedReader(_Received(sock))
        self.fp.close()
        self.fp = received  # type: ignore[assignment] # typeshed knows sockets' own readers only

    def begin(self) -> None:
        super().begin()
        BUDGET.bytes_left = BUDGET.answer_bytes + HEADER_BYTES  # for the body, and what frames its chunks
        lengths = self.msg.get_all("Content-Length", [])
        try:
            assert_header_parsing(self.msg)
        except (HeaderParsingError, TypeError):
            lengths = [""]
        if any(not (length.isascii() and length.isdecimal()) for length in lengths) or len({*lengths}) > 1:
            raise UnavailableError(
                "Customer.io sent an answer that is not valid HTTP: its headers are damaged"
            )


class _Bounded(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        self.timeout = min(BUDGET.seconds_left(), CONNECT_SECONDS)
        return super()._new_conn()

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        rest = memoryview(data)
        while rest:
            rest = rest[_patiently(self.sock, self.sock.send, rest) :]


class _BoundedTls(_Bounded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


_POOLS = {"http": _Pool, "https": _TlsPool}


class BoundedAdapter(requests.adapters.HTTPAdapter):
    """Makes the connections of a session bounded, through proxies too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Prepare direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        """Prepare connections through a proxy. Those through SOCKS are not bounded."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


def read_body(response: requests.Response, limit: int) -> bytes:
    """Read the body of an answer that was requested as a stream.

    Args:
        response: The answer.
        limit: The most bytes that it may have, compressed and not.

    Raises:
        UnavailableError: It has more, or it is damaged.
    """
    body = b""
    # To the end: urllib3 notices that a body is shorter than announced when nothing more comes.
    while len(body) <= limit and (piece := response.raw.read(limit + 1 - len(body), decode_content=False)):
        body += piece
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        body = _decompressed(body, limit)
    elif encoding not in ("identity", ""):
        raise UnavailableError("Customer.io sent an answer in an encoding that was not asked for")
    if len(body) > limit:
        raise UnavailableError(f"Customer.io sent an answer of more than {limit:,} bytes")
    return body


def _decompressed(body: bytes, limit: int) -> bytes:
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise UnavailableError("Customer.io sent a compressed answer that is damaged") from None
    if not decompressor.eof and len(plain) <= limit:
        raise UnavailableError("Customer.io sent a compressed answer that is cut short")
    return plain
