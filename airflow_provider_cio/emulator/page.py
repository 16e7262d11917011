"""The web page that shows the workspace."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_cio.emulator.store import Store

#: The rows on one page.
_ROWS = 25

_VIEWS = ("people", "objects", "relationships", "segments", "activities")


class Page:
    """Serve ``GET /`` with the parameters ``view``, ``q`` (a text to search) and ``from`` (the first row)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        environment = Environment(
            loader=PackageLoader("airflow_provider_cio.emulator"),
            autoescape=select_autoescape(),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["moment"] = _format_time
        self._template = environment.get_template("page.html")

    async def show(self, request: Request) -> Response:
        """Return the page."""
        view = request.query_params.get("view", _VIEWS[0])
        search = request.query_params.get("q", "")
        start = request.query_params.get("from", "0")
        view = view if view in _VIEWS else _VIEWS[0]
        offset = int(start) if re.fullmatch("[0-9]{1,18}", start) else 0
        rows = self._rows(view, search, offset)
        return HTMLResponse(
            self._template.render(
                view=view,
                search=search,
                counts=self._store.counts(),
                rows=rows[:_ROWS],
                first=offset + 1,
                earlier=_link(view, search, max(0, offset - _ROWS)) if offset else None,
                later=_link(view, search, offset + _ROWS) if len(rows) > _ROWS else None,
            )
        )

    def _rows(self, view: str, search: str, offset: int) -> list[Any]:
        """Return the rows of a page, and one more if there is a next page."""
        match view:
            case "objects":
                return self._store.custom_objects(search, _ROWS + 1, offset)
            case "relationships":
                return self._store.relationships(search=search, limit=_ROWS + 1, offset=offset)
            case "segments":
                segments = self._store.segments()[offset : offset + _ROWS + 1]
                return [(segment, self._store.count_members(segment)) for segment in segments]
            case "activities":
                return self._store.activities(limit=_ROWS + 1, offset=offset)
        return self._store.people(search, _ROWS + 1, offset)


def _link(view: str, search: str, start: int) -> str:
    """Return the link to another page of a view."""
    return "?" + urlencode({"view": view, "q": search, "from": start})


def _format_time(seconds: int) -> str:
    """Format Unix seconds in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
