"""How much the Track API has been asked for since the start."""

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send


class Counters(Struct):
    """Requests to the Track API, whatever their answer, and what became of the operations in them."""

    requests: int = 0
    operations: int = 0
    rejected: int = 0


class Counted:
    """Counts requests on their way."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        self._counters.requests += 1
        await self._app(scope, receive, send)
