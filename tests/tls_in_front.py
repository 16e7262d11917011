"""TLS in front of a Postgres server that was built without TLS, as a pooler or a cloud's proxy adds it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_PIECE = 65536


class TlsInFront:
    """A proxy inside a `with` block that accepts Postgres connections with TLS and refuses others.

    Args:
        port: The server's port on 127.0.0.1.
        certificate: PEM files of a certificate and of its key.

    Attributes:
        port: The proxy's port on 127.0.0.1.
    """

    def __init__(self, port: int, certificate: tuple[Path, Path]) -> None:
        self.port = 0
        self._server_port = port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(*certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        """Start the proxy."""
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the proxy."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        with suppress(
            OSError, asyncio.IncompleteReadError
        ):  # clients may disconnect, for example because of the certificate
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                writer.write(_refusal())
            else:
                writer.write(b"S")
                await writer.start_tls(self._context)
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
                await asyncio.gather(_forward(reader, server_writer), _forward(server_reader, writer))
        writer.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    writer.close()


def _refusal() -> bytes:
    """Return the error of a Postgres that has only `hostssl` lines."""
    text = 'no pg_hba.conf entry for host "127.0.0.1", user "postgres", database "postgres", no encryption'
    fields = b"".join(
        name + value.encode() + b"\0" for name, value in ((b"S", "FATAL"), (b"C", "28000"), (b"M", text))
    )
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"
