"""The middleware that injects faults into the Track API, and the path ``/_faults`` that controls it.

``POST /_faults`` starts a plan (see `fault_plans`), ``GET`` returns it with the counts of faults, and
``DELETE`` ends it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from airflow_provider_cio.emulator.fault_plans import parse_plan
from airflow_provider_cio.emulator.fault_responses import (
    DAMAGED,
    complete_response,
    drip,
    send_truncated,
    write_bytes,
)
from airflow_provider_cio.emulator.responses import json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_provider_cio.emulator.fault_plans import FaultInjector

#: The kinds that lose the response to a request that was applied, unless the fault has another `applied`.
_AFTER_APPLYING = frozenset({"reset", "truncate"})
#: ``SO_LINGER`` with no time: closing the socket sends a reset instead of an orderly end.
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class FaultMiddleware:
    """Pass requests to the application, or replace their responses by a fault."""

    app: ASGIApp
    injector: FaultInjector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        fault = self.injector.next()
        if fault is None:
            await self.app(scope, receive, send)
            return
        applied = fault.kind in _AFTER_APPLYING if fault.applied is None else fault.applied
        if applied:
            await self.app(scope, receive, _discard)
        else:
            await _receive_all(receive)
        transport: asyncio.Transport = scope["state"]["transport"]
        match fault.kind:
            case "reset" | "reset_before":
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                transport.abort()
            case "close":
                transport.close()
            case "hang":
                await asyncio.sleep(fault.seconds)
                transport.abort()
            case "truncate":
                await send_truncated(send)
                transport.close()
            case "drip_headers" | "drip_body":
                await drip(transport, fault)
            case kind if kind in DAMAGED:
                await write_bytes(transport, DAMAGED[kind]())
            case _:
                await complete_response(fault)(scope, receive, send)
                return
        await _wait_for_disconnect(receive)


async def _discard(_message: Message) -> None:
    """Discard a part of a response."""


async def _receive_all(receive: Receive) -> None:
    """Receive the whole request. A client that is still sending would see another fault."""
    while (await receive()).get("more_body"):
        pass


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def fault_routes(injector: FaultInjector) -> list[Route]:
    """Return the routes that control the faults."""

    def state() -> Response:
        return json_response({"configuration": injector.plan, "counts": injector.counts})

    async def get(_request: Request) -> Response:
        return state()

    async def post(request: Request) -> Response:
        try:
            injector.start(parse_plan(await request.body()))
        except msgspec.DecodeError as error:
            return json_response({"error": str(error)}, 400)
        return state()

    async def delete(_request: Request) -> Response:
        injector.start(None)
        return state()

    return [
        Route("/_faults", endpoint, methods=[method])
        for method, endpoint in (("GET", get), ("POST", post), ("DELETE", delete))
    ]
