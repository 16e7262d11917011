"""Counters of the requests to the Track API since the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Counters(Struct):
    """All requests, and the accepted and rejected operations in them."""

    requests: int = 0
    operations: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class CountingMiddleware:
    """Count requests."""

    app: ASGIApp
    counters: Counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        self.counters.requests += 1
        await self.app(scope, receive, send)
