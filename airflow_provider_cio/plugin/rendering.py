"""HTML responses: templates, and the headers of every page."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import jinja2
from airflow.configuration import conf
from fastapi.responses import HTMLResponse

from airflow_provider_cio.plugin import text

if TYPE_CHECKING:
    from http import HTTPStatus

STATIC = Path(__file__).parent / "static"
#: Nothing runs or loads that does not come from the API server itself. Airflow shows the pages in a frame.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'self'; form-action 'self'; base-uri 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def url_prefix() -> str:
    """Return the path of ``[api] base_url``, under which a reverse proxy serves Airflow; usually empty."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def page(template: str, status: HTTPStatus | int = 200, **values: Any) -> HTMLResponse:
    """Render a template as a page.

    Args:
        template: The file's name.
        status: The HTTP status.
        values: What the template shows.
    """
    html = _environment().get_template(template).render(prefix=url_prefix(), **values)
    return HTMLResponse(html, status, headers=PAGE_HEADERS)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": text.number,
        "duration": text.duration,
        "age": text.age,
        "size": text.size,
        "iso": text.iso,
        "utc": text.utc,
        "path": lambda value: quote(value, safe=""),
    }
    environment.globals["static"] = _static_url
    return environment


@cache
def _static_url(name: str) -> str:
    """Return the path of a static file below the app, which changes with its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/customerio/static/{name}?v={digest}"
