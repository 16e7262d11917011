"""A TCP proxy that can stop forwarding without closing its connections."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

#: Bytes forwarded at once, which is also the precision of the count.
_PIECE = 4_096
#: Seconds between two checks whether the proxy is stalled.
_POLL_SECONDS = 0.05


class Proxy:
    """Forwards to a port of 127.0.0.1 inside a ``with`` block.

    Args:
        target: The port to forward to.

    Attributes:
        port: The port on which the proxy listens.
        stalled_at: Unix seconds of the last stall; None while the proxy forwards.
        forwarded: Number of bytes forwarded, in both directions together.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stalled_at: float | None = None
        self.forwarded = 0
        self._bytes_left: int | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Start forwarding."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        self._ended.set()
        self._listener.close()

    def stall_after(self, count: int) -> None:
        """Stall after this number of bytes, in both directions together."""
        self._bytes_left = count

    def heal(self) -> None:
        """Forward new connections. Stalled connections stay stalled."""
        self._bytes_left = None
        self.stalled_at = None

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server, suppress(OSError):
            if self._forward(client, server):
                self._ended.wait()

    def _forward(self, client: socket.socket, server: socket.socket) -> bool:
        """Forward until one side closes or the proxy stalls. Returns whether it stalled."""
        while not self._ended.is_set():
            if self._bytes_left is not None and self._bytes_left <= 0:
                self.stalled_at = self.stalled_at or time.time()
                return True
            readable, _, _ = select.select([client, server], [], [], _POLL_SECONDS)
            for side in readable:
                piece = side.recv(_PIECE)
                if not piece:
                    return False
                if self._bytes_left is not None:
                    self._bytes_left -= len(piece)
                    if self._bytes_left < 0:
                        break
                (server if side is client else client).sendall(piece)
                self.forwarded += len(piece)
        return False
