"""The errors of the App API."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from airflow_provider_cio.emulator.responses import json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class RefusalError(Exception):
    """The App API refuses a request.

    Args:
        status: The HTTP status.
        detail: The message.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def refusal_response(_request: Request, error: Exception) -> Response:
    """Return the response for a `RefusalError`. Starlette calls it as an exception handler."""
    assert isinstance(error, RefusalError)  # noqa: S101 - registered for no other exception
    return json_response({"errors": [{"detail": str(error), "status": str(error.status)}]}, error.status)


def not_found() -> RefusalError:
    """Return the error for a missing record, which differs from the one for an unknown path."""
    return RefusalError(404, f"not found (reference {secrets.token_hex(13).upper()})")
