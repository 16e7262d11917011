"""The ASGI application: the paths of the emulator, and their middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_cio.emulator.app_api import AppAPI
from airflow_provider_cio.emulator.app_api_errors import RefusalError, refusal_response
from airflow_provider_cio.emulator.counters import Counters, CountingMiddleware
from airflow_provider_cio.emulator.fault_plans import FaultInjector
from airflow_provider_cio.emulator.injected_faults import FaultMiddleware, fault_routes
from airflow_provider_cio.emulator.page import Page
from airflow_provider_cio.emulator.responses import (
    BASIC_CHALLENGE,
    AuthorizationMiddleware,
    basic_authorization,
    json_response,
    not_found_page,
)
from airflow_provider_cio.emulator.store import Store
from airflow_provider_cio.emulator.track_v1 import TrackV1
from airflow_provider_cio.emulator.track_v2 import TrackV2
from airflow_provider_cio.emulator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import TypeAlias

    from airflow_provider_cio.emulator.options import Options

    Endpoint: TypeAlias = tuple[str, str, Callable[[Request], Awaitable[Response]]]


def create_app(options: Options) -> Starlette:
    """Create the application."""
    store = Store(options.database)
    counters = Counters()
    injector = FaultInjector()

    async def stats(_request: Request) -> Response:
        return json_response(
            {
                "requests": counters.requests,
                "operations": counters.operations,
                "rejected": counters.rejected,
                **store.counts(),
            }
        )

    routes = [
        *_track_routes(store, counters, injector, options),
        *_app_routes(AppAPI(store), options),
        Route("/_emulator/stats", stats),
        Route("/", Page(store).show),
    ]
    if options.faults:
        routes += fault_routes(injector)
    handlers = {
        404: not_found_page,
        405: not_found_page,
        RefusalError: refusal_response,
        ClientDisconnect: _disconnected,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


async def _disconnected(_request: Request, _error: Exception) -> Response:
    """Return a response for a client that disconnected during its request, as a killed process does."""
    return Response(status_code=400)


def _track_routes(store: Store, counters: Counters, injector: FaultInjector, options: Options) -> list[Route]:
    """Return the routes of the Track API, whose requests are counted before faults and authorization."""
    workspace = Workspace(store)
    v1 = TrackV1(store, workspace, counters)
    v2 = TrackV2(store, None if options.count_only else workspace, counters)
    authorization = basic_authorization(options.site_id, options.api_key)
    middleware = [
        Middleware(CountingMiddleware, counters),
        *([Middleware(FaultMiddleware, injector)] if options.faults else []),
        Middleware(AuthorizationMiddleware, authorization, BASIC_CHALLENGE),
    ]
    customer = "/api/v1/customers/{identifier}"
    segment = "/api/v1/segments/{segment_id:int}"
    return _routes(
        middleware,
        (
            ("POST", "/api/v2/batch", v2.batch),
            ("POST", "/api/v2/entity", v2.entity),
            ("GET", "/api/v1/accounts/region", v1.region),
            ("PUT", customer, v1.identify),
            ("DELETE", customer, v1.delete),
            ("POST", f"{customer}/events", v1.event),
            ("PUT", f"{customer}/devices", v1.unapplied),
            ("DELETE", f"{customer}/devices/{{device_id}}", v1.unapplied),
            ("POST", f"{customer}/suppress", v1.unapplied),
            ("POST", f"{customer}/unsuppress", v1.unapplied),
            ("POST", "/api/v1/events", v1.unapplied),
            ("POST", "/api/v1/merge_customers", v1.unapplied),
            ("POST", f"{segment}/add_customers", v1.add_to_segment),
            ("POST", f"{segment}/remove_customers", v1.remove_from_segment),
        ),
    )


def _app_routes(api: AppAPI, options: Options) -> list[Route]:
    """Return the routes of the App API."""
    segment = "/v1/segments/{segment_id:int}"
    customer = "/v1/customers/{customer_id}"
    custom_object = "/v1/objects/{object_type_id}/{object_id}"
    return _routes(
        [Middleware(AuthorizationMiddleware, f"Bearer {options.app_api_key}", {})],
        (
            ("GET", "/v1/workspaces", api.workspaces),
            ("GET", "/v1/object_types", api.object_types),
            ("GET", "/v1/segments", api.segments),
            ("POST", "/v1/segments", api.create_segment),
            ("GET", segment, api.segment),
            ("DELETE", segment, api.delete_segment),
            ("GET", f"{segment}/customer_count", api.customer_count),
            ("GET", f"{segment}/membership", api.membership),
            ("GET", "/v1/customers", api.customers),
            ("POST", "/v1/customers/attributes", api.attributes_of_customers),
            ("GET", f"{customer}/attributes", api.customer_attributes),
            ("GET", f"{customer}/relationships", api.customer_relationships),
            ("GET", f"{customer}/segments", api.customer_segments),
            ("GET", f"{custom_object}/attributes", api.object_attributes),
            ("GET", f"{custom_object}/relationships", api.object_relationships),
            ("GET", "/v1/activities", api.activities),
        ),
    )


def _routes(middleware: list[Middleware], endpoints: Iterable[Endpoint]) -> list[Route]:
    return [
        Route(path, endpoint, methods=[method], middleware=middleware) for method, path, endpoint in endpoints
    ]
