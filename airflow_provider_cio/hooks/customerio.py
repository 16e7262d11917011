"""From an Airflow connection to a client of the workspace."""

from __future__ import annotations

import difflib
import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from airflow.sdk import BaseHook, Connection
from airflow.sdk.configuration import conf
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from airflow_provider_cio.errors import AddressError, ConfigurationError, CredentialsError, SyncError
from airflow_provider_cio.settings import (
    APPLY_WAIT,
    CONCURRENT_REQUESTS,
    REQUEST_TIMEOUT,
    REQUESTS_PER_SECOND,
    RETRY_FOR,
    Number,
)
from airflow_provider_cio.track import APP_REGIONS, REGIONS, AppClient, TrackClient
from airflow_provider_cio.track.address import validate_base_url

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Somebody waits in front of the connection form.
_TEST_SECONDS = 10

#: The numbers in seconds of ``[customerio]``.
_SETTINGS = {"request_timeout": REQUEST_TIMEOUT, "retry_for": RETRY_FOR, "apply_wait": APPLY_WAIT}

#: Extras that people give instead of ours, and that are not similar enough to be guessed.
_MEANT = {"api_key": "app_api_key", "key": "app_api_key", "token": "app_api_key", "url": "app_host"} | {
    "site_id": "login",
    "track_api_key": "password",
    "base_url": "host",
    "track_host": "host",
    "timeout": "[customerio] request_timeout",
    "request_timeout": "[customerio] request_timeout",
    "retry_for": "[customerio] retry_for",
    "apply_wait": "[customerio] apply_wait",
}


def read_seconds(name: str) -> float:
    """Read a number of seconds from section ``[customerio]`` of Airflow's configuration.

    Raises:
        ConfigurationError: It is not a number, or not one that can be meant.
    """
    bounds = _SETTINGS[name]
    try:
        seconds = float(conf.get("customerio", name) or "")
    except ValueError:
        seconds = math.nan
    if not bounds.least <= seconds <= bounds.most:
        raise ConfigurationError(
            f"{name} in section [customerio] of airflow.cfg, or AIRFLOW__CUSTOMERIO__{name.upper()}, is not a"
            f" number of seconds from {bounds.least:g} to {bounds.most:g}. Give one without a unit, such as"
            f" {name} = {bounds.default:g}"
        )
    return seconds


def _number(bounds: Number) -> Any:
    return Field(default=bounds.default, ge=bounds.least, le=bounds.most, allow_inf_nan=False)


class _Extra(BaseModel):
    """What the connection's extra may say; the form leaves empty what nobody filled in."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    region: Literal["us", "eu"] = "us"
    app_api_key: str = ""
    app_host: str = ""
    workspace_id: Annotated[
        str, StringConstraints(pattern="^[0-9]*$", max_length=20, strip_whitespace=True)
    ] = Field(default="", coerce_numbers_to_str=True)
    max_requests_per_second: float = _number(REQUESTS_PER_SECOND)
    max_concurrent_requests: int = Field(
        default=int(CONCURRENT_REQUESTS.default),
        ge=int(CONCURRENT_REQUESTS.least),
        le=int(CONCURRENT_REQUESTS.most),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _default_when_empty(cls, value: Any, info: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("Input should not be true or false")  # noqa: TRY004 - pydantic's way
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
        return self._client(timeout=read_seconds("request_timeout"), retry_for=read_seconds("retry_for"))

    def get_app_client(self) -> AppClient | None:
        """Make a client of the workspace's App API; None when the connection has no key for it.

        Raises:
            ConfigurationError: The connection holds a value that cannot be meant.
        """
        return self._app_client(timeout=read_seconds("request_timeout"), retry_for=read_seconds("retry_for"))

    def test_connection(self) -> tuple[bool, str]:
        """Ask Customer.io, once, whether it knows the credentials, and whether the region is right."""
        try:
            connection = self.get_connection(self.customerio_conn_id)
            with self._client(timeout=_TEST_SECONDS, retry_for=0) as client:
                answer = client.region()
            if app := self._app_client(timeout=_TEST_SECONDS, retry_for=0):
                with app:
                    app.segments()
            expected = self._extra(connection).region
        except SyncError as error:
            return False, str(error)
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
        with self._named("login, password or host"):
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
        connection = self.get_connection(self.customerio_conn_id)
        extra = self._extra(connection)
        if not extra.app_api_key:
            return None
        with self._named("app_api_key or app_host"):
            app_host = self._validate_base_url("app_host", extra.app_host)
            return AppClient(
                api_key=extra.app_api_key,
                base_url=app_host or self._base_url(connection) or APP_REGIONS[extra.region],
                workspace_id=extra.workspace_id,
                timeout=timeout,
                retry_for=retry_for,
            )

    def _extra(self, connection: Connection) -> _Extra:
        try:
            extra = json.loads((connection.extra or "").strip() or "{}")
        except (ValueError, RecursionError):
            raise self._wrong("extra", "it is not valid JSON") from None
        if extra is None:  # what some forms store for an empty field
            extra = {}
        if not isinstance(extra, dict):
            raise self._wrong("extra", "it is not a JSON object")
        try:
            return _Extra.model_validate(extra)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(map(str, problem["loc"])) or "extra"
            if problem["type"] == "extra_forbidden":
                raise self._wrong("extra", f"unknown key {_shown(where)}{_did_you_mean(where)}") from None
            raise self._wrong(where, problem["msg"].removeprefix("Value error, ")) from None

    def _base_url(self, connection: Connection) -> str:
        url = connection.host or ""
        if url and connection.port:
            url = f"{url.rstrip('/')}:{connection.port}"
        return self._validate_base_url("host", url)

    def _validate_base_url(self, field: str, url: str) -> str:
        try:
            return url and validate_base_url(url)
        except AddressError as error:
            raise self._wrong(field, str(error)) from None

    @contextmanager
    def _named(self, fields: str) -> Iterator[None]:
        """Say in errors of a client's making which connection it is about."""
        try:
            yield
        except CredentialsError as error:
            raise self._wrong(fields, str(error)) from None

    def _wrong(self, field: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"The connection {self.customerio_conn_id} has a wrong {field}: {what}")


def _did_you_mean(key: str) -> str:
    """Guess which key was meant."""
    name = key.rpartition("__")[2].lower().replace("-", "_")  # older forms prefixed keys
    known = list(_Extra.model_fields)
    close = [_MEANT[name]] if name in _MEANT else difflib.get_close_matches(name, known, 1, 0.6)
    return f": did you mean {close[0]}?" if close else f". The keys are {', '.join(known)}."


def _shown(key: str) -> str:
    """Return what may be shown of an unknown key: a whole secret in its place may not."""
    return key if key.isascii() and key.isidentifier() and len(key) <= 40 else "(not a name)"  # noqa: PLR2004
