"""The app inside Airflow's API server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI

from airflow_provider_cio.plugin.access import NotLoggedInError, ask_to_log_in, logged_in
from airflow_provider_cio.plugin.reports import router
from airflow_provider_cio.state.pools import create_missing_pools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


# A mounted app is open to everybody unless it says otherwise, and so are FastAPI's own pages of docs.
app = FastAPI(
    title="Customer.io",
    lifespan=_lifespan,
    dependencies=[Depends(logged_in)],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)
app.add_exception_handler(NotLoggedInError, ask_to_log_in)
app.include_router(router)
