"""Faults on request: the Track API at its worst, by chance, by schedule, or for a time.

``POST /_faults`` sets what will happen, ``GET`` shows it with counts, ``DELETE`` ends it. Three forms::

    {"rate": 0.2, "kinds": ["429", "503", "reset", "truncate"], "seed": 1}
    {"schedule": ["429", null, {"kind": "hang", "seconds": 5, "applied": true}]}
    {"storm": "429", "seconds": 15}

In a schedule, each of the coming requests takes one entry; null is health, and so is the end of the list.
A storm begins with the first request, and every request meets it until its seconds are over.
"""

import asyncio
import functools
import gzip
import itertools
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_cio.emulator.responses import json_answer

Status: TypeAlias = Literal["408", "429", "500", "502", "503", "504", "522"]
Page: TypeAlias = Literal["html", "html_400"]
Body: TypeAlias = Literal[
    "empty", "null", "list", "text", "message", "cut_json", "bad_utf8", "deep_json",
    "accepted", "207_empty", "207_index", "400_message",
]  # fmt: skip
Lost: TypeAlias = Literal["hang", "reset", "reset_before", "close", "truncate"]
Raw: TypeAlias = Literal[
    "bad_status", "bad_header", "bad_length", "bad_chunk", "bad_gzip", "gzip_bomb",
    "many_headers", "endless_headers", "endless_body", "endless_chunks",
    "drip_headers", "drip_body",
]  # fmt: skip
Kind: TypeAlias = Status | Page | Body | Lost | Raw | Literal["refusal"]
"""All are transient, except ``refusal``: a 400 as the API documents it, without a word on which operation."""

AFTER_APPLYING = frozenset({"reset", "truncate"})
"""Unless told otherwise, these lose the answer to a request that was applied."""

MISSING_BYTES = 100
"""How much of the announced length a truncated answer leaves out."""

NO_LINGER = struct.pack("ii", 1, 0)
"""``SO_LINGER`` with no time: closing the socket sends a reset instead of an orderly end."""

DRIP_SECONDS = 0.5
"""The pause after each byte of an answer that drips: short enough for every timeout between two reads."""

BUFFERED_BYTES = 1_000_000
"""How far an endless answer runs ahead of the client that reads it."""

TALK: dict[str, tuple[int, bytes]] = {
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
"""Complete answers that are not a verdict; ``refusal`` is one."""

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n"


class InjectedFault(Struct):
    """What takes the place of an answer.

    Attributes:
        kind: A status; ``html`` and ``html_400``, pages; a complete answer that is not a verdict (`TALK`);
            ``hang``, silence, then a closed connection; ``reset``; ``reset_before``, which applies nothing;
            ``close``, an orderly end without an answer; ``truncate``, an answer that ends too early; or bytes
            that are damaged, endless (`DAMAGED`) or slow (`drip`).
        retry_after: For statuses, the header ``Retry-After``, in seconds or as the text given; None leaves
            it out.
        seconds: How long a ``hang`` lasts, and how long bytes that drip keep coming.
        applied: Whether the request has its effect all the same; by default only with ``reset`` and
            ``truncate``.
    """

    kind: Kind
    retry_after: int | str | None = None
    seconds: float = 60
    applied: bool | None = None


class ByChance(Struct, forbid_unknown_fields=True):
    """Each request meets one of the kinds with probability `rate`; a `seed` makes the sequence repeatable."""

    rate: Annotated[float, Meta(ge=0, le=1)]
    kinds: Annotated[list[Kind | InjectedFault], Meta(min_length=1)]
    seed: int | None = None


class BySchedule(Struct, forbid_unknown_fields=True):
    """Each coming request takes one entry."""

    schedule: list[Kind | InjectedFault | None]


class Storm(Struct, forbid_unknown_fields=True):
    """Each request meets the fault, for so many seconds from the first one on."""

    storm: Kind | InjectedFault
    seconds: Annotated[float, Meta(ge=0)]


Configuration: TypeAlias = ByChance | BySchedule | Storm


class Faults:
    """Decides which requests meet which fault, and counts them."""

    def __init__(self) -> None:
        self.configuration: Configuration | None = None
        self.counts: Counter[str] = Counter()
        self._random = random.Random()  # noqa: S311 - no secrets
        self._end_of_storm: float | None = None

    def configure(self, configuration: Configuration | None) -> None:
        """Start anew; None is health."""
        self.configuration = configuration
        self.counts.clear()
        self._end_of_storm = None
        if isinstance(configuration, ByChance):
            self._random.seed(configuration.seed)

    def next(self) -> InjectedFault | None:
        """The fault that the request now arriving meets, if any."""
        fault = self._choose()
        if isinstance(fault, str):
            fault = InjectedFault(fault)
        self.counts[fault.kind if fault else "healthy"] += 1
        return fault

    def _choose(self) -> Kind | InjectedFault | None:
        match self.configuration:
            case ByChance(rate=rate, kinds=kinds) if self._random.random() < rate:
                return self._random.choice(kinds)
            case BySchedule(schedule=[_, *_] as schedule):
                return schedule.pop(0)
            case Storm(storm=fault, seconds=seconds):
                now = time.monotonic()
                if self._end_of_storm is None:
                    self._end_of_storm = now + seconds
                return fault if now < self._end_of_storm else None
        return None


class Faulty:
    """Gives requests to the application, or to their fault."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        fault = self._faults.next()
        if fault is None:
            await self._app(scope, receive, send)
            return
        applied = fault.kind in AFTER_APPLYING if fault.applied is None else fault.applied
        if applied:
            await self._app(scope, receive, discard)
        else:
            await received(receive)
        transport: asyncio.Transport = scope["state"]["transport"]
        match fault.kind:
            case "reset" | "reset_before":
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                transport.abort()
            case "close":
                transport.close()
            case "hang":
                await asyncio.sleep(fault.seconds)
                transport.abort()
            case "truncate":
                await truncated(send)
                transport.close()
            case "drip_headers" | "drip_body":
                await drip(transport, fault)
            case kind if kind in DAMAGED:
                await write(transport, DAMAGED[kind]())
            case _:
                await answer(fault)(scope, receive, send)
                return
        await disconnected(receive)


async def discard(_message: Message) -> None:
    """Send nothing."""


async def received(receive: Receive) -> None:
    """Return when the whole request is here: whoever still sends would not see the fault that was meant."""
    while (await receive()).get("more_body"):
        pass


async def disconnected(receive: Receive) -> None:
    """Return when the connection is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def truncated(send: Send) -> None:
    """Begin an answer and leave it at that."""
    body = b'{"errors": ['
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body) + MISSING_BYTES).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})


def answer(fault: InjectedFault) -> Response:
    """The answer of a service in trouble; Customer.io's bodies are unknown, so most are not JSON."""
    if fault.kind in ("html", "html_400"):
        page = "<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>"
        return HTMLResponse(page, 200 if fault.kind == "html" else 400)
    headers = None if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if fault.kind in TALK:
        status, body = TALK[fault.kind]
        return Response(body, status, headers, "application/json")
    return PlainTextResponse("The service is in trouble on purpose.\n", int(fault.kind), headers)


def endless(head: bytes, piece: bytes) -> Iterator[bytes]:
    """Bytes without an end."""
    yield head
    yield from itertools.repeat(piece)


@functools.cache
def bomb() -> bytes:
    """A body of 97 kB that becomes 100 MB."""
    return gzip.compress(bytes(100_000_000), 9)


DAMAGED: dict[str, Callable[[], Iterable[bytes]]] = {
    "bad_status": lambda: [b"HTTP/1.1 yes fine\r\n\r\n{}"],
    "bad_header": lambda: [OK + b"\0\xff no colon\r\nContent-Length: -3\r\n\r\n{}"],
    "bad_length": lambda: [OK + b"Content-Length: 5, 7\r\n\r\n{}   "],
    "bad_chunk": lambda: [CHUNKED + b"no number\r\n{}\r\n0\r\n\r\n"],
    "bad_gzip": lambda: [GZIP + b"Content-Length: 7\r\n\r\nno gzip"],
    "gzip_bomb": lambda: [GZIP + b"Content-Length: %d\r\n\r\n" % len(bomb()), bomb()],
    "many_headers": lambda: [OK + b"".join(b"X-%d: x\r\n" % n for n in range(1_000)) + b"\r\n{}"],
    "endless_headers": lambda: endless(OK, b"X-Long: " + b"x" * 1_000 + b"\r\n"),
    "endless_chunks": lambda: endless(CHUNKED, b"400\r\n" + b" " * 1_024 + b"\r\n"),
    "endless_body": lambda: endless(OK + b"\r\n", b" " * 65_536),
}
"""The bytes of answers that are not valid HTTP, or are larger than any client can want."""


async def write(transport: asyncio.Transport, pieces: Iterable[bytes]) -> None:
    """Write bytes past the server, no faster than the client reads, then close the connection."""
    for piece in pieces:
        while transport.get_write_buffer_size() > BUFFERED_BYTES:  # noqa: ASYNC110 - nothing sets an event
            await asyncio.sleep(0.01)
        if transport.is_closing():
            return
        transport.write(piece)
        await asyncio.sleep(0)
    transport.close()


async def drip(transport: asyncio.Transport, fault: InjectedFault) -> None:
    """Write one byte after the other, each in time, for as long as the fault lasts."""
    end = time.monotonic() + fault.seconds
    head = OK + b"X-Slow: "
    if fault.kind == "drip_body":
        head = OK + b"Content-Length: 1000000\r\n\r\n"
    transport.write(head)
    while time.monotonic() < end and not transport.is_closing():
        transport.write(b" ")
        await asyncio.sleep(DRIP_SECONDS)
    transport.abort()


async def show(faults: Faults) -> Response:
    """What is set, and how many requests have met what since."""
    return json_answer({"configuration": faults.configuration, "counts": faults.counts})


def fault_routes(faults: Faults) -> list[Route]:
    """The paths that control faults."""

    async def get(_request: Request) -> Response:
        return await show(faults)

    async def post(request: Request) -> Response:
        body = await request.body()
        try:
            faults.configure(read_configuration(body))
        except msgspec.DecodeError as error:
            return json_answer({"error": str(error)}, 400)
        return await show(faults)

    async def delete(_request: Request) -> Response:
        faults.configure(None)
        return await show(faults)

    return [
        Route("/_faults", endpoint, methods=[method])
        for method, endpoint in (("GET", get), ("POST", post), ("DELETE", delete))
    ]


def read_configuration(body: bytes) -> Configuration:
    """The configuration in a request body: a schedule or a storm if it names one.

    Raises:
        msgspec.DecodeError: It has none of the forms.
    """
    keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if "schedule" in keys:
        return msgspec.json.decode(body, type=BySchedule)
    if "storm" in keys:
        return msgspec.json.decode(body, type=Storm)
    return msgspec.json.decode(body, type=ByChance)
