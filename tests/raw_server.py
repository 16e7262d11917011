"""A server that responds with given bytes, which an HTTP library would not send."""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

    Script: TypeAlias = "bytes | Callable[[socket.socket], None]"

SUCCESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{}\n"


def answer(body: bytes = b"{}", *, status: int = 200, headers: bytes = b"") -> bytes:
    """Return a response. Each line of `headers` ends with CRLF."""
    return b"HTTP/1.1 %d X\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status,
        headers,
        len(body),
        body,
    )


class RawServer:
    """A server that runs inside a ``with`` block, and closes each connection after one response.

    Args:
        script: The responses, as bytes or as functions of the connection, in order.
        last: The response to all further requests.
        tls: A context to serve TLS.

    Attributes:
        url: The base URL of the server.
        heads: The head of each request.
    """

    def __init__(self, *script: Script, last: Script = SUCCESS, tls: ssl.SSLContext | None = None) -> None:
        self._script = deque(script)
        self._last = last
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._connections: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.heads: list[bytes] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            self.heads.append(_read_request(connection))
            script = self._script.popleft() if self._script else self._last
            if isinstance(script, bytes):
                connection.sendall(script)
            else:
                script(connection)
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    left = length - len(body)
    while left > 0:
        left -= len(_receive(connection))
    return head


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise OSError("the client closed the connection")
    return received
