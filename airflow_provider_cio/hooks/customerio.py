"""From an Airflow connection to a client of the workspace."""

from __future__ import annotations

from typing import Any, Literal

from airflow.sdk import BaseHook, Connection
from airflow.sdk.configuration import conf
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from airflow_provider_cio.errors import ConfigurationError, SyncError
from airflow_provider_cio.track import APP_REGIONS, REGIONS, AppClient, TrackClient

#: Somebody waits in front of the connection form.
_TEST_SECONDS = 10


class _Extra(BaseModel):
    """What the connection's extra may say; the form leaves empty what nobody filled in."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    region: Literal["us", "eu"] = "us"
    app_api_key: str = ""
    app_host: str = ""
    max_requests_per_second: float = Field(default=100, gt=0, le=1000)
    max_concurrent_requests: int = Field(default=8, ge=1, le=64)

    @field_validator("*", mode="before")
    @classmethod
    def _default_when_empty(cls, value: Any, info: Any) -> Any:
        return cls.model_fields[info.field_name].default if value in (None, "") else value


class CustomerIOHook(BaseHook):
    """Talks to one Customer.io workspace.

    Args:
        customerio_conn_id: A connection of type ``customerio``: login is the Site ID, password the Track API
            key, host the base URL of the Track API when it is not Customer.io's own.
    """

    conn_name_attr = "customerio_conn_id"
    default_conn_name = "customerio_default"
    conn_type = "customerio"
    hook_name = "Customer.io"

    def __init__(self, customerio_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.customerio_conn_id = customerio_conn_id

    def get_conn(self) -> TrackClient:
        """Make a client of the workspace's Track API.

        Raises:
            ConfigurationError: The connection lacks something, or holds a value that cannot be meant.
        """
        return self._client(
            timeout=conf.getfloat("customerio", "request_timeout"),
            retry_for=conf.getfloat("customerio", "retry_for"),
        )

    def get_app_client(self) -> AppClient | None:
        """Make a client of the workspace's App API; None when the connection has no key for it.

        Raises:
            ConfigurationError: The connection holds a value that cannot be meant.
        """
        return self._app_client(
            timeout=conf.getfloat("customerio", "request_timeout"),
            retry_for=conf.getfloat("customerio", "retry_for"),
        )

    def test_connection(self) -> tuple[bool, str]:
        """Ask Customer.io, once, whether it knows the credentials, and whether the region is right."""
        try:
            connection = self.get_connection(self.customerio_conn_id)
            with self._client(timeout=_TEST_SECONDS, retry_for=0) as client:
                answer = client.region()
            if app := self._app_client(timeout=_TEST_SECONDS, retry_for=0):
                with app:
                    app.segments()
        except SyncError as error:
            return False, str(error)
        expected = self._extra(connection).region
        if not connection.host and answer.region != expected:
            return False, f"The workspace is in region {answer.region}, the connection says {expected}."
        return True, f"Workspace {answer.environment_id} in region {answer.region}"

    def _client(self, *, timeout: float, retry_for: float) -> TrackClient:
        connection = self.get_connection(self.customerio_conn_id)
        if not connection.login or not connection.password:
            raise ConfigurationError(
                f"The connection {self.customerio_conn_id} needs the Site ID as login and the Track API key"
                " as password; both are in Customer.io under Settings > API Credentials."
            )
        extra = self._extra(connection)
        return TrackClient(
            site_id=connection.login,
            api_key=connection.password,
            base_url=self._base_url(connection) or REGIONS[extra.region],
            max_requests_per_second=extra.max_requests_per_second,
            max_concurrent_requests=extra.max_concurrent_requests,
            timeout=timeout,
            retry_for=retry_for,
        )

    def _app_client(self, *, timeout: float, retry_for: float) -> AppClient | None:
        extra = self._extra(self.get_connection(self.customerio_conn_id))
        if not extra.app_api_key:
            return None
        return AppClient(
            api_key=extra.app_api_key,
            base_url=self._checked_url("app_host", extra.app_host) or APP_REGIONS[extra.region],
            timeout=timeout,
            retry_for=retry_for,
        )

    def _extra(self, connection: Connection) -> _Extra:
        try:
            return _Extra.model_validate(connection.extra_dejson)
        except ValidationError as error:
            fault = error.errors(include_input=False)[0]
            where = ".".join(map(str, fault["loc"])) or "extra"
            raise ConfigurationError(
                f"The connection {self.customerio_conn_id} has a wrong {where}: {fault['msg']}"
            ) from None

    def _base_url(self, connection: Connection) -> str:
        host = self._checked_url("host", connection.host or "")
        return f"{host}:{connection.port}" if host and connection.port else host

    def _checked_url(self, field: str, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"The {field} of the connection {self.customerio_conn_id} has to begin with https://"
                " (or http://)"
            )
        return url
