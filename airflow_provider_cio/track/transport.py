"""HTTP connections with a time limit and a size limit for each response.

The timeouts of requests and urllib3 apply to a single read, so a server that sends one byte now and then can
keep a request open forever. Here, every read and write of a request shares one deadline. They wait in short
slices, and check between two slices whether the client was stopped.
"""

from __future__ import annotations

import http.client
import io
import math
import threading
import time
import zlib
from http.cookiejar import DefaultCookiePolicy
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

    from requests.auth import AuthBase
    from urllib3.poolmanager import ProxyManager

_T = TypeVar("_T")

#: The largest window of zlib, with the header of either gzip or zlib.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class _Budget(threading.local):
    """The time and the bytes that the current thread's request has left.

    It is thread-local because urllib3 cannot pass such values to a connection.
    """

    seconds = math.inf
    deadline = math.inf
    response_bytes = 0
    bytes_left = 0

    def begin(self, seconds: float, response_bytes: int, is_stopped: Callable[[], bool]) -> None:
        """Start the budget of a request.

        Args:
            seconds: The time from the connection to the last byte of the response.
            response_bytes: The largest body.
            is_stopped: Returns whether the client was stopped.
        """
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.response_bytes = response_bytes
        self.bytes_left = HEADER_BYTES
        self.is_stopped = is_stopped

    def seconds_left(self) -> float:
        """Return the seconds until the deadline.

        Raises:
            StoppedError: The client was stopped.
            UnavailableError: The deadline has passed.
        """
        if self.is_stopped():
            raise StoppedError("The run was stopped")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise UnavailableError(
                f"Customer.io did not send a complete response within {self.seconds:g} s"
                " ([customerio] request_timeout)"
            )
        return left


#: The budget of the current thread's request.
BUDGET = _Budget()


def _wait_within_budget(sock: socket.socket, call: Callable[..., _T], *args: object) -> _T:
    """Make a blocking call on a socket, and repeat it until it succeeds or the budget is spent."""
    while True:
        sock.settimeout(min(BUDGET.seconds_left(), STOP_CHECK_SECONDS))
        try:
            return call(*args)
        except TimeoutError:
            continue


class _BoundedReader(io.RawIOBase):
    """Read from a socket within the budget."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)  # The socket stays open as long as it has a file.

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = _wait_within_budget(self._sock, self._sock.recv_into, buffer)
        BUDGET.bytes_left -= size
        if BUDGET.bytes_left < 0:
            raise UnavailableError("Customer.io sent a response that is larger than any documented one")
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """A response that is read within the budget, and whose length is unambiguous."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        reader = io.BufferedReader(_BoundedReader(sock))
        self.fp.close()
        self.fp = reader  # type: ignore[assignment] # typeshed accepts only the readers of sockets

    def begin(self) -> None:
        super().begin()
        BUDGET.bytes_left = BUDGET.response_bytes + HEADER_BYTES  # the body and its chunk framing
        lengths = self.msg.get_all("Content-Length", [])
        try:
            assert_header_parsing(self.msg)
        except (HeaderParsingError, TypeError):
            lengths = [""]
        if any(not (length.isascii() and length.isdecimal()) for length in lengths) or len({*lengths}) > 1:
            raise UnavailableError("Customer.io sent a response with headers that are not valid HTTP")


class _BoundedConnection(HTTPConnection):
    response_class = _BoundedResponse

    def _new_conn(self) -> socket.socket:
        self.timeout = min(BUDGET.seconds_left(), CONNECT_SECONDS)
        return super()._new_conn()

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        rest = memoryview(data)
        while rest:
            rest = rest[_wait_within_budget(self.sock, self.sock.send, rest) :]


class _BoundedTlsConnection(_BoundedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class BoundedAdapter(requests.adapters.HTTPAdapter):
    """A transport adapter whose connections are bounded, also through HTTP proxies."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        """Create the pool of connections through a proxy. Connections through SOCKS are not bounded."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


def create_session(auth: AuthBase, connections: int) -> requests.Session:
    """Create a session with bounded connections, and without cookies, which the APIs do not use.

    Args:
        auth: Adds the credentials to a request.
        connections: The number of connections to keep open.
    """
    session = requests.Session()
    session.auth = auth
    session.headers["User-Agent"] = "airflow-provider-cio"
    session.headers["Accept-Encoding"] = "gzip, deflate"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = BoundedAdapter(pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def read_body(response: requests.Response, limit: int) -> bytes:
    """Read and decompress the body of a response that was requested with ``stream=True``.

    Args:
        response: The response.
        limit: The largest body in bytes, before and after decompression.

    Raises:
        UnavailableError: The body is larger or damaged.
    """
    body = b""
    # Read to the end: urllib3 detects a body that is shorter than its Content-Length on the last read only.
    while len(body) <= limit and (piece := response.raw.read(limit + 1 - len(body), decode_content=False)):
        body += piece
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        body = _decompress(body, limit)
    elif encoding not in ("identity", ""):
        raise UnavailableError("Customer.io sent a response in an encoding that the client does not accept")
    if len(body) > limit:
        raise UnavailableError(f"Customer.io sent a response of more than {limit:,} bytes")
    return body


def _decompress(body: bytes, limit: int) -> bytes:
    """Decompress a body, up to one byte more than the limit."""
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise UnavailableError("Customer.io sent a damaged compressed response") from None
    if not decompressor.eof and len(plain) <= limit:
        raise UnavailableError("Customer.io sent an incomplete compressed response")
    return plain
