"""From the ids of Airflow connections to what a run reads from and sends to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.hooks.customerio import CustomerIOHook
from airflow_provider_cio.hooks.source import connect_source
from airflow_provider_cio.state.airflow_api import variable_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from airflow_provider_cio.track import AppClient, TrackClient


def connect_postgres(postgres_conn_id: str, application_name: str) -> psycopg.Connection[Any]:
    """Open a connection to the source.

    Args:
        postgres_conn_id: The id of the Airflow connection.
        application_name: The name of the session in Postgres, unless the connection gives one.

    Raises:
        ConfigurationError: The Airflow connection does not exist, or cannot be used.
        psycopg.OperationalError: The server does not respond, or refuses the connection.
    """
    with _must_exist("postgres_conn_id", postgres_conn_id, "Postgres"):
        return connect_source(postgres_conn_id, application_name)


def workspace_clients(customerio_conn_id: str) -> tuple[TrackClient, AppClient | None]:
    """Return the clients of a workspace. There is no App API client without an App API key.

    Raises:
        ConfigurationError: The Airflow connection does not exist, or cannot be used.
    """
    hook = CustomerIOHook(customerio_conn_id)
    with _must_exist("customerio_conn_id", customerio_conn_id, "Customer.io"):
        return hook.get_conn(), hook.get_app_client()


def workspace_url(customerio_conn_id: str) -> str:
    """Return the URL of a workspace in Customer.io; empty for an emulator or a proxy.

    Raises:
        ConfigurationError: The Airflow connection does not exist, or cannot be used.
    """
    with _must_exist("customerio_conn_id", customerio_conn_id, "Customer.io"):
        return CustomerIOHook(customerio_conn_id).workspace_url()


@contextmanager
def _must_exist(argument: str, connection: str, kind: str) -> Iterator[None]:
    """Name the connection that does not exist, and where to create it."""
    try:
        yield
    except AirflowNotFoundException:
        variable_names()  # raises if Airflow's API cannot be reached
        raise ConfigurationError(
            f"The connection {connection} ({argument}) does not exist. Create it with the type {kind} under"
            " Admin > Connections, as docs/connections.md describes."
        ) from None
