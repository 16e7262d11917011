"""The workspace as a page to look at."""

import re
import time
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from airflow_provider_cio.emulator.store import Store

ROWS = 25
"""How many rows a page shows."""

VIEWS = ("people", "objects", "relationships", "segments", "activities")


class Page:
    """``GET /``: one of the views, searched with ``q``, from row ``from``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        environment = Environment(
            loader=PackageLoader("airflow_provider_cio.emulator"),
            autoescape=select_autoescape(),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["moment"] = moment
        self._template = environment.get_template("page.html")

    async def show(self, request: Request) -> Response:
        """The page."""
        view = request.query_params.get("view", VIEWS[0])
        search = request.query_params.get("q", "")
        start = request.query_params.get("from", "0")
        view = view if view in VIEWS else VIEWS[0]
        offset = int(start) if re.fullmatch("[0-9]{1,18}", start) else 0
        rows = self._rows(view, search, offset)
        return HTMLResponse(
            self._template.render(
                view=view,
                search=search,
                counts=self._store.counts(),
                rows=rows[:ROWS],
                first=offset + 1,
                earlier=link(view, search, max(0, offset - ROWS)) if offset else None,
                later=link(view, search, offset + ROWS) if len(rows) > ROWS else None,
            )
        )

    def _rows(self, view: str, search: str, offset: int) -> list[Any]:
        """One row more than a page shows tells that there are more."""
        match view:
            case "objects":
                return self._store.things(search, ROWS + 1, offset)
            case "relationships":
                return self._store.relationships(search=search, limit=ROWS + 1, offset=offset)
            case "segments":
                segments = self._store.segments()[offset : offset + ROWS + 1]
                return [(segment, self._store.count_members(segment)) for segment in segments]
            case "activities":
                return self._store.activities(limit=ROWS + 1, offset=offset)
        return self._store.people(search, ROWS + 1, offset)


def link(view: str, search: str, start: int) -> str:
    """The address of another page of the view."""
    return "?" + urlencode({"view": view, "q": search, "from": start})


def moment(seconds: int) -> str:
    """Unix seconds for people, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
