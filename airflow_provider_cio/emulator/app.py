"""The application: every path of the emulator, and who may ask for it."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_cio.emulator.app_api import AppAPI, RefusalError, refusal
from airflow_provider_cio.emulator.counters import Counted, Counters
from airflow_provider_cio.emulator.injected_faults import Faults, Faulty, fault_routes
from airflow_provider_cio.emulator.options import Options
from airflow_provider_cio.emulator.page import Page
from airflow_provider_cio.emulator.responses import BASIC_CHALLENGE, PAGES, Authorized, basic, json_answer
from airflow_provider_cio.emulator.store import Store
from airflow_provider_cio.emulator.track_v1 import TrackV1
from airflow_provider_cio.emulator.track_v2 import TrackV2
from airflow_provider_cio.emulator.workspace import Workspace


async def gone(_request: Request, _error: Exception) -> Response:
    """An answer that no client waits for any more, as when it was killed in the middle of a request."""
    return Response(status_code=400)


def create_app(options: Options) -> Starlette:
    """The emulator as an ASGI application."""
    store = Store(options.database)
    counters = Counters()
    faults = Faults()

    async def stats(_request: Request) -> Response:
        return json_answer(
            {
                "requests": counters.requests,
                "operations": counters.operations,
                "rejected": counters.rejected,
                **store.counts(),
            }
        )

    routes = [
        *track_routes(store, counters, faults, options),
        *app_routes(AppAPI(store), options),
        Route("/_emulator/stats", stats),
        Route("/", Page(store).show),
    ]
    if options.faults:
        routes += fault_routes(faults)
    return Starlette(
        routes=routes, exception_handlers={**PAGES, RefusalError: refusal, ClientDisconnect: gone}
    )


def track_routes(store: Store, counters: Counters, faults: Faults, options: Options) -> list[Route]:
    """The Track API: counted, disturbed if wanted, then behind HTTP Basic."""
    workspace = Workspace(store)
    v1 = TrackV1(store, workspace, counters)
    v2 = TrackV2(store, None if options.count_only else workspace, counters)
    authorization = basic(options.site_id, options.api_key)
    around = [
        Middleware(Counted, counters),
        *([Middleware(Faulty, faults)] if options.faults else []),
        Middleware(Authorized, authorization, BASIC_CHALLENGE),
    ]
    customer = "/api/v1/customers/{identifier}"
    segment = "/api/v1/segments/{segment_id:int}"
    return [
        Route(path, endpoint, methods=[method], middleware=around)
        for method, path, endpoint in (
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
        )
    ]


def app_routes(api: AppAPI, options: Options) -> list[Route]:
    """The App API, behind its bearer key."""
    around = [Middleware(Authorized, f"Bearer {options.app_api_key}", {})]
    segment = "/v1/segments/{segment_id:int}"
    customer = "/v1/customers/{customer_id}"
    item = "/v1/objects/{object_type_id}/{object_id}"
    return [
        Route(path, endpoint, methods=[method], middleware=around)
        for method, path, endpoint in (
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
            ("GET", f"{item}/attributes", api.object_attributes),
            ("GET", f"{item}/relationships", api.object_relationships),
            ("GET", "/v1/activities", api.activities),
        )
    ]
