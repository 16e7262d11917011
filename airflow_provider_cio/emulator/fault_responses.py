"""The responses of injected faults: complete, damaged, endless and slow ones."""

from __future__ import annotations

import asyncio
import functools
import gzip
import itertools
import time
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.types import Send

    from airflow_provider_cio.emulator.fault_plans import InjectedFault

#: The bytes of the announced length that a truncated response omits.
_MISSING_BYTES = 100
#: The pause after each byte of a slow response. It is shorter than any timeout between two reads.
_DRIP_SECONDS = 0.5
#: The bytes that an endless response may buffer for a client that reads slowly.
_BUFFERED_BYTES = 1_000_000

#: Complete responses without a verdict; only ``refusal`` is one.
BODIES: dict[str, tuple[int, bytes]] = {
    "empty": (200, b""),
    "null": (200, b"null"),
    "list": (200, b"[]"),
    "text": (200, b"OK"),
    "message": (200, b'{"message": "maintenance"}'),
    "cut_json": (200, b'{"errors": [{"batch_index": 0, "rea'),
    "bad_utf8": (200, b'{"message": "\xff\xfe"}'),
    "deep_json": (200, b'{"errors": ' + b"[" * 50_000),
    "accepted": (202, b"{}"),
    "207_empty": (207, b"{}"),
    "207_index": (207, b'{"errors": [{"batch_index": 1000000, "reason": "invalid"}]}'),
    "400_message": (400, b'{"message": "Bad Request"}'),
    "refusal": (400, b'{"errors": [{"reason": "invalid", "field": "batch", "message": "malformed"}]}'),
}

_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_GZIP = _OK + b"Content-Encoding: gzip\r\n"


def complete_response(fault: InjectedFault) -> Response:
    """Return a complete response. Most bodies are not JSON, as in real outages."""
    if fault.kind in ("html", "html_400"):
        page = "<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>"
        return HTMLResponse(page, 200 if fault.kind == "html" else 400)
    headers = None if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if fault.kind in BODIES:
        status, body = BODIES[fault.kind]
        return Response(body, status, headers, "application/json")
    return PlainTextResponse("This is an injected fault.\n", int(fault.kind), headers)


async def send_truncated(send: Send) -> None:
    """Send the beginning of a response."""
    body = b'{"errors": ['
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body) + _MISSING_BYTES).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _endless(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    yield from itertools.repeat(piece)


@functools.cache
def _gzip_bomb() -> bytes:
    """Return 97 kB that decompress to 100 MB."""
    return gzip.compress(bytes(100_000_000), 9)


#: The bytes of responses that are not valid HTTP, or larger than a client should read.
DAMAGED: dict[str, Callable[[], Iterable[bytes]]] = {
    "bad_status": lambda: [b"HTTP/1.1 yes fine\r\n\r\n{}"],
    "bad_header": lambda: [_OK + b"\0\xff no colon\r\nContent-Length: -3\r\n\r\n{}"],
    "bad_length": lambda: [_OK + b"Content-Length: 5, 7\r\n\r\n{}   "],
    "bad_chunk": lambda: [_CHUNKED + b"no number\r\n{}\r\n0\r\n\r\n"],
    "bad_gzip": lambda: [_GZIP + b"Content-Length: 7\r\n\r\nno gzip"],
    "gzip_bomb": lambda: [_GZIP + b"Content-Length: %d\r\n\r\n" % len(_gzip_bomb()), _gzip_bomb()],
    "many_headers": lambda: [_OK + b"".join(b"X-%d: x\r\n" % n for n in range(1_000)) + b"\r\n{}"],
    "endless_headers": lambda: _endless(_OK, b"X-Long: " + b"x" * 1_000 + b"\r\n"),
    "endless_chunks": lambda: _endless(_CHUNKED, b"400\r\n" + b" " * 1_024 + b"\r\n"),
    "endless_body": lambda: _endless(_OK + b"\r\n", b" " * 65_536),
}


async def write_bytes(transport: asyncio.Transport, pieces: Iterable[bytes]) -> None:
    """Write bytes directly to the connection, at the speed at which the client reads, then close it."""
    for piece in pieces:
        while transport.get_write_buffer_size() > _BUFFERED_BYTES:  # noqa: ASYNC110 - there is no event to await
            await asyncio.sleep(0.01)
        if transport.is_closing():
            return
        transport.write(piece)
        await asyncio.sleep(0)
    transport.close()


async def drip(transport: asyncio.Transport, fault: InjectedFault) -> None:
    """Write a response byte by byte, for the seconds of the fault."""
    end = time.monotonic() + fault.seconds
    head = _OK + b"X-Slow: "
    if fault.kind == "drip_body":
        head = _OK + b"Content-Length: 1000000\r\n\r\n"
    transport.write(head)
    while time.monotonic() < end and not transport.is_closing():
        transport.write(b" ")
        await asyncio.sleep(_DRIP_SECONDS)
    transport.abort()
