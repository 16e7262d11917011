"""What Customer.io puts around every answer: headers, bodies of refusals, the page for unknown paths."""

import base64
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {
    "access-control-allow-origin": "*",
    "cache-control": "no-cache, no-store, must-revalidate, max-age=0",
}
BASIC_CHALLENGE = {"www-authenticate": 'Basic realm="Customer.io edge event collection"'}

NOT_FOUND_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Page Not Found | Customer.io</title></head>
<body><h1>Page Not Found</h1><p>There is nothing at this address, or not for this method.</p></body>
</html>
"""


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The content as JSON with a newline, as the Track API ends its bodies."""
    return Response(
        msgspec.json.encode(content) + b"\n",
        status,
        headers=HEADERS | (headers or {}),
        media_type="application/json; charset=utf-8",
    )


def unauthorized(headers: dict[str, str] | None = None) -> Response:
    """The same for missing, wrong and wrongly built credentials."""
    return json_answer({"meta": {"error": "Unauthorized request"}}, 401, headers)


async def not_found_page(_request: Request, _error: Exception) -> Response:
    """What both unknown paths and wrong methods get: a page, not JSON."""
    return HTMLResponse(NOT_FOUND_PAGE, 404)


PAGES = {404: not_found_page, 405: not_found_page}
"""For Starlette's `exception_handlers`."""


def basic(user: str, password: str) -> str:
    """The ``Authorization`` header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Authorized:
    """Lets requests with the right ``Authorization`` header through; the others get the refusal.

    Args:
        app: What the request is for.
        authorization: The whole header.
        challenge: Headers of the refusal.
    """

    def __init__(self, app: ASGIApp, authorization: str, challenge: dict[str, str]) -> None:
        self._app = app
        self._header = (b"authorization", authorization.encode())
        self._refusal = unauthorized(challenge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        allowed = self._header in scope["headers"]
        await (self._app if allowed else self._refusal)(scope, receive, send)
