"""A TCP proxy that can become a black hole: it stops forwarding, and closes nothing."""

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

#: How much is forwarded at once, and so how exactly the bytes are counted.
_PIECE = 4_096
#: How often a connection looks whether it is stalled, in seconds.
_LOOK = 0.05


class Proxy:
    """Forwards to a port of 127.0.0.1 inside a ``with`` block.

    Args:
        target: The port.

    Attributes:
        port: Where it listens.
        stalled_at: When it stalled last, in Unix seconds; None as long as it forwards.
        forwarded: How many bytes it has forwarded, from both sides together.
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
        """Forward so many bytes more, from both sides together, then none."""
        self._bytes_left = count

    def heal(self) -> None:
        """Forward new connections; those that stalled stay as they are."""
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
        """Forward until one side closes, which is false, or the connection stalls."""
        while not self._ended.is_set():
            if self._bytes_left is not None and self._bytes_left <= 0:
                self.stalled_at = self.stalled_at or time.time()
                return True
            readable, _, _ = select.select([client, server], [], [], _LOOK)
            for one in readable:
                piece = one.recv(_PIECE)
                if not piece:
                    return False
                if self._bytes_left is not None:
                    self._bytes_left -= len(piece)
                    if self._bytes_left < 0:
                        break
                (server if one is client else client).sendall(piece)
                self.forwarded += len(piece)
        return False
