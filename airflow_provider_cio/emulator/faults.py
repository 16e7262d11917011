"""Faults on request: the Track API at its worst, by chance or by schedule.

``POST /_faults`` sets what will happen, ``GET`` shows it with counts, ``DELETE`` ends it. Two forms::

    {"rate": 0.2, "kinds": ["429", "503", "reset", "truncate"], "seed": 1}
    {"schedule": ["429", null, {"kind": "hang", "seconds": 5, "applied": true}]}

In a schedule, each of the coming requests takes one entry; null is health, and so is the end of the list.
"""

import asyncio
import random
import socket
import struct
from collections import Counter
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_cio.emulator.answers import json_answer

Kind: TypeAlias = Literal["429", "500", "502", "503", "504", "html", "hang", "reset", "truncate"]

AFTER_APPLYING = frozenset({"reset", "truncate"})
"""Unless told otherwise, these lose the answer to a request that was applied."""

MISSING_BYTES = 100
"""How much of the announced length a truncated answer leaves out."""

NO_LINGER = struct.pack("ii", 1, 0)
"""``SO_LINGER`` with no time: closing the socket sends a reset instead of an orderly end."""


class Fault(Struct):
    """What takes the place of an answer.

    Attributes:
        kind: A status; ``html``, a page with status 200; ``hang``, silence, then a closed connection;
            ``reset``; or ``truncate``, an answer that ends too early.
        retry_after: For statuses, the header ``Retry-After`` in seconds; None leaves it out.
        seconds: How long a ``hang`` lasts.
        applied: Whether the request has its effect all the same; by default only with ``reset`` and
            ``truncate``.
    """

    kind: Kind
    retry_after: int | None = None
    seconds: float = 60
    applied: bool | None = None


class ByChance(Struct, forbid_unknown_fields=True):
    """Each request meets one of the kinds with probability `rate`; a `seed` makes the sequence repeatable."""

    rate: Annotated[float, Meta(ge=0, le=1)]
    kinds: Annotated[list[Kind | Fault], Meta(min_length=1)]
    seed: int | None = None


class BySchedule(Struct, forbid_unknown_fields=True):
    """Each coming request takes one entry."""

    schedule: list[Kind | Fault | None]


class Faults:
    """Decides which requests meet which fault, and counts them."""

    def __init__(self) -> None:
        self.configuration: ByChance | BySchedule | None = None
        self.counts: Counter[str] = Counter()
        self._random = random.Random()  # noqa: S311 - no secrets

    def configure(self, configuration: ByChance | BySchedule | None) -> None:
        """Start anew; None is health."""
        self.configuration = configuration
        self.counts.clear()
        if isinstance(configuration, ByChance):
            self._random.seed(configuration.seed)

    def next(self) -> Fault | None:
        """The fault that the request now arriving meets, if any."""
        fault = self._choose()
        if isinstance(fault, str):
            fault = Fault(fault)
        self.counts[fault.kind if fault else "healthy"] += 1
        return fault

    def _choose(self) -> Kind | Fault | None:
        match self.configuration:
            case ByChance(rate=rate, kinds=kinds) if self._random.random() < rate:
                return self._random.choice(kinds)
            case BySchedule(schedule=[_, *_] as schedule):
                return schedule.pop(0)
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
            case "reset":
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                transport.abort()
            case "hang":
                await asyncio.sleep(fault.seconds)
                transport.abort()
            case "truncate":
                await truncated(send)
                transport.close()
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


def answer(fault: Fault) -> Response:
    """The answer of a service in trouble; Customer.io's bodies are unknown, so these are not JSON."""
    if fault.kind == "html":
        return HTMLResponse("<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>")
    headers = None if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    return PlainTextResponse("The service is in trouble on purpose.\n", int(fault.kind), headers)


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


def read_configuration(body: bytes) -> ByChance | BySchedule:
    """The configuration in a request body: a schedule if it names one.

    Raises:
        msgspec.DecodeError: It is neither form.
    """
    if "schedule" in msgspec.json.decode(body, type=dict[str, msgspec.Raw]):
        return msgspec.json.decode(body, type=BySchedule)
    return msgspec.json.decode(body, type=ByChance)
