"""The app inside Airflow's API server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from airflow_provider_cio.plugin import pages, reports
from airflow_provider_cio.plugin.access import NotLoggedInError, ask_to_log_in, logged_in
from airflow_provider_cio.plugin.errors import show_error, show_validation_error
from airflow_provider_cio.plugin.rendering import STATIC
from airflow_provider_cio.state.pools import create_missing_pools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response

log = logging.getLogger(__name__)

#: A spec that was just deployed waits this long at most for its pool.
_SECONDS_BETWEEN_LOOKS = 30


async def _keep_pools() -> None:
    while True:
        try:
            for name in await asyncio.to_thread(create_missing_pools):
                log.info("Created the pool %s", name)
        except Exception:
            log.exception("Looking for missing Customer.io pools failed; trying again")
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


@contextlib.asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    keeper = asyncio.create_task(_keep_pools())
    yield
    keeper.cancel()


# A mounted app is open to everyone unless it has dependencies, and so are FastAPI's own pages of docs.
app = FastAPI(
    title="Customer.io",
    lifespan=_lifespan,
    dependencies=[Depends(logged_in)],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)
app.add_exception_handler(NotLoggedInError, ask_to_log_in)
app.add_exception_handler(HTTPException, show_error)
app.add_exception_handler(RequestValidationError, show_validation_error)
app.include_router(pages.router)
app.include_router(reports.router)


class _StaticFiles(StaticFiles):
    """Scripts, styles and icons: the only files that need no login. Their URLs change with their content."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


app.mount("/static", _StaticFiles(directory=STATIC))
