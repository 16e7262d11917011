"""TLS for a Postgres server that was built without: what a pooler, or a cloud's proxy, does for one."""

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
    """Takes TLS connections to a server, the way Postgres begins them, inside a `with` block; refuses others.

    Args:
        port: Where the server listens on 127.0.0.1.
        certificate: PEM files of a certificate and of its key.

    Attributes:
        port: Where clients connect, on 127.0.0.1 too.
    """

    def __init__(self, port: int, certificate: tuple[Path, Path]) -> None:
        self.port = 0
        self._server_port = port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(*certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop; clients have gone by then."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one client from its first words to its end."""
        with suppress(OSError, asyncio.IncompleteReadError):  # it may go at any time, as over a certificate
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                writer.write(_refusal())
            else:
                writer.write(b"S")
                await writer.start_tls(self._context)
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
                await asyncio.gather(_pass_on(reader, server_writer), _pass_on(server_reader, writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    writer.close()


def _refusal() -> bytes:
    """What a Postgres says that has only `hostssl` lines."""
    text = 'no pg_hba.conf entry for host "127.0.0.1", user "postgres", database "postgres", no encryption'
    fields = b"".join(
        name + value.encode() + b"\0" for name, value in ((b"S", "FATAL"), (b"C", "28000"), (b"M", text))
    )
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"
