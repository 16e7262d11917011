"""Who may use the app: users who are logged in to Airflow, on every route."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser  # noqa: TC002 - as below
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from fastapi import Depends, HTTPException, Path, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.security import HTTPAuthorizationCredentials  # noqa: TC002 - FastAPI reads annotations

from airflow_provider_cio.plugin.rendering import page, url_prefix

#: As long as Airflow's column, and without what Postgres cannot compare.
AirflowId = Annotated[str, Path(max_length=250, pattern=r"^[^\x00]+$")]


class NotLoggedInError(Exception):
    """A request has no token, or Airflow does not accept the token."""


async def logged_in(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)],
) -> BaseUser:
    """Return the user.

    Raises:
        NotLoggedInError: There is none.
    """
    try:
        return await get_user(request, None, credentials)
    except HTTPException:  # for a broken token, Airflow's own API answers 403
        raise NotLoggedInError from None


def may_read_dag(dag_id: AirflowId, request: Request, user: Annotated[BaseUser, Depends(logged_in)]) -> None:
    """Refuse users who may not read the DAG with 403."""
    if dag_id == "~":  # Airflow's word for all DAGs
        raise HTTPException(HTTPStatus.NOT_FOUND, "The DAG ~ does not exist.")
    requires_access_dag("GET")(request, user)


def ask_to_log_in(request: Request, _: Exception) -> Response:
    """Send a browser to the login page, which leads back here, and answer 401 to a program.

    Inside a frame the login page would be cut off from Airflow. There, a page offers a link out of the frame.
    """
    if not wants_html(request):
        return JSONResponse(
            {"detail": "Not authenticated"},
            HTTPStatus.UNAUTHORIZED,
            headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"},
        )
    if request.headers.get("sec-fetch-dest", "document") == "document":
        return RedirectResponse(_login_url(request), HTTPStatus.FOUND, headers={"Cache-Control": "no-store"})
    return page("login.html", HTTPStatus.UNAUTHORIZED, login_url=f"{url_prefix()}/api/v2/auth/login")


def wants_html(request: Request) -> bool:
    """Return whether the request is a browser's, for a page."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _login_url(request: Request) -> str:
    """Build the URL of Airflow's own login route, which every auth manager has."""
    prefix = url_prefix()
    query = f"?{request.url.query}" if request.url.query else ""
    path = request.scope.get("raw_path", b"").decode("ascii", "ignore").partition("?")[0] or request.url.path
    here = path if path.startswith(f"{prefix}/") else f"{prefix}{path}"
    return f"{prefix}/api/v2/auth/login?{urlencode({'next': here + query})}"
