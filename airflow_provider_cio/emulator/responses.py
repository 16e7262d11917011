"""What all responses of Customer.io share: headers, refusals of credentials, the page for unknown paths."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {
    "access-control-allow-origin": "*",
    "cache-control": "no-cache, no-store, must-revalidate, max-age=0",
}
BASIC_CHALLENGE = {"www-authenticate": 'Basic realm="Customer.io edge event collection"'}
JSON_MEDIA_TYPE = "application/json; charset=utf-8"

_NOT_FOUND_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Page Not Found | Customer.io</title></head>
<body><h1>Page Not Found</h1><p>This path does not exist, or not for this method.</p></body>
</html>
"""


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response. Its body ends with a newline, as those of the Track API do."""
    body = msgspec.json.encode(content) + b"\n"
    return Response(body, status, headers=HEADERS | (headers or {}), media_type=JSON_MEDIA_TYPE)


async def not_found_page(_request: Request, _error: Exception) -> Response:
    """Return the web page that unknown paths and wrong methods get instead of JSON."""
    return HTMLResponse(_NOT_FOUND_PAGE, 404)


def basic_authorization(user: str, password: str) -> str:
    """Return the ``Authorization`` header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class AuthorizationMiddleware:
    """Pass requests with the right ``Authorization`` header to the application, and refuse the others.

    Missing, wrong and malformed credentials get the same refusal.

    Args:
        app: The application.
        authorization: The right header.
        challenge: Additional headers of the refusal.
    """

    def __init__(self, app: ASGIApp, authorization: str, challenge: dict[str, str]) -> None:
        self._app = app
        self._header = (b"authorization", authorization.encode())
        self._refusal = json_response({"meta": {"error": "Unauthorized request"}}, 401, challenge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        allowed = self._header in scope["headers"]
        await (self._app if allowed else self._refusal)(scope, receive, send)
