"""Errors as pages for browsers, and as JSON for programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from airflow_provider_cio.plugin.access import wants_html
from airflow_provider_cio.plugin.rendering import page

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.responses import Response

_TITLES = {
    HTTPStatus.FORBIDDEN: "Not allowed",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Not a valid address",
}


async def show_error(request: Request, error: Exception) -> Response:
    """Show an HTTP error."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler is registered for it
    if not wants_html(request):
        return await http_exception_handler(request, error)
    title = _TITLES.get(HTTPStatus(error.status_code), "This did not work")
    message = str(error.detail)
    if error.status_code == HTTPStatus.FORBIDDEN:
        message = "Your role in Airflow does not include this DAG. Ask an administrator."
    return page("message.html", error.status_code, title=title, message=message)


async def show_validation_error(request: Request, _: Exception) -> Response:
    """Refuse an address that cannot be valid, without repeating it."""
    if wants_html(request):
        return page(
            "message.html",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            title="Not a valid address",
            message="The address of this page is not valid. Go back to the list of syncs.",
        )
    return JSONResponse({"detail": "The address is not valid."}, HTTPStatus.UNPROCESSABLE_ENTITY)
