"""The hook that creates API clients from an Airflow connection of type ``customerio``."""

from __future__ import annotations

import difflib
import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.configuration import conf
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from airflow_provider_cio.errors import AddressError, ConfigurationError, CredentialsError, SyncError
from airflow_provider_cio.settings import (
    APPLY_WAIT,
    CONCURRENT_REQUESTS,
    DEFAULT_REGION,
    REQUEST_TIMEOUT,
    REQUESTS_PER_SECOND,
    RETRY_FOR,
    NumberSetting,
    Region,
)
from airflow_provider_cio.track import APP_REGIONS, PAGES, REGIONS, AppClient, TrackClient
from airflow_provider_cio.track.address import validate_base_url

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The request timeout of the test button in seconds: a person is waiting for the result.
_TEST_SECONDS = 10

#: The options of ``[customerio]`` that are a number of seconds.
_SECONDS_OPTIONS = {"request_timeout": REQUEST_TIMEOUT, "retry_for": RETRY_FOR, "apply_wait": APPLY_WAIT}

#: What to suggest for keys that are too different from the right one for `difflib`.
_KEY_SUGGESTIONS = {
    "api_key": "app_api_key",
    "key": "app_api_key",
    "token": "app_api_key",
    "url": "app_host",
    "site_id": "login",
    "track_api_key": "password",
    "base_url": "host",
    "track_host": "host",
    "timeout": "[customerio] request_timeout",
    **{option: f"[customerio] {option}" for option in _SECONDS_OPTIONS},
}
#: The longest unknown key that a message repeats. Our longest key has 23 characters.
_MAX_SHOWN_KEY = 40


def read_seconds(option: str) -> float:
    """Return a number of seconds from section ``[customerio]`` of Airflow's configuration.

    Args:
        option: The name of the option.

    Raises:
        ConfigurationError: The value is not a number within the option's bounds.
    """
    setting = _SECONDS_OPTIONS[option]
    try:
        seconds = float(conf.get("customerio", option) or "")
    except ValueError:
        seconds = math.nan
    if not setting.minimum <= seconds <= setting.maximum:
        raise ConfigurationError(
            f"[customerio] {option} (AIRFLOW__CUSTOMERIO__{option.upper()}) is not a number of seconds from"
            f" {setting.minimum:g} to {setting.maximum:g}. Set it to a number without a unit, such as"
            f" {option} = {setting.default:g}"
        )
    return seconds


def _number_field(setting: NumberSetting) -> Any:
    return Field(default=setting.default, ge=setting.minimum, le=setting.maximum, allow_inf_nan=False)


class _Extra(BaseModel):
    """The keys of the connection's extra. The form stores an empty text or null for a field left empty."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    region: Region = DEFAULT_REGION
    app_api_key: str = ""
    app_host: str = ""
    workspace_id: Annotated[
        str, StringConstraints(pattern="^[0-9]*$", max_length=20, strip_whitespace=True)
    ] = Field(default="", coerce_numbers_to_str=True)
    max_requests_per_second: float = _number_field(REQUESTS_PER_SECOND)
    max_concurrent_requests: int = Field(
        default=int(CONCURRENT_REQUESTS.default),
        ge=int(CONCURRENT_REQUESTS.minimum),
        le=int(CONCURRENT_REQUESTS.maximum),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _default_if_empty(cls, value: Any, info: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("Input should not be true or false")  # noqa: TRY004 - pydantic expects ValueError
        return cls.model_fields[info.field_name].default if value in (None, "") else value


class CustomerIOHook(BaseHook):
    """Create API clients for one Customer.io workspace.

    Args:
        customerio_conn_id: The id of a connection of type ``customerio``. Its login is the Site ID, its
            password the Track API key, and its host the base URL of the Track API, if that is not
            Customer.io's own.
    """

    conn_name_attr = "customerio_conn_id"
    default_conn_name = "customerio_default"
    conn_type = "customerio"
    hook_name = "Customer.io"

    def __init__(self, customerio_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.customerio_conn_id = customerio_conn_id

    def get_conn(self) -> TrackClient:
        """Create a client of the workspace's Track API.

        Raises:
            ConfigurationError: A field of the connection is missing or not valid.
        """
        return self._track_client(
            timeout=read_seconds("request_timeout"), retry_for=read_seconds("retry_for")
        )

    def get_app_client(self) -> AppClient | None:
        """Create a client of the workspace's App API; None if the connection has no App API key.

        Raises:
            ConfigurationError: A field of the connection is not valid.
        """
        return self._app_client(timeout=read_seconds("request_timeout"), retry_for=read_seconds("retry_for"))

    def workspace_url(self) -> str:
        """Return the URL of Customer.io's own pages for the region; empty if the connection has a host.

        Raises:
            ConfigurationError: A field of the connection is not valid.
        """
        connection = self.get_connection(self.customerio_conn_id)
        extra = self._extra(connection)
        if connection.host:
            return ""
        url = PAGES[extra.region]
        return f"{url}/env/{extra.workspace_id}" if extra.workspace_id else url

    def test_connection(self) -> tuple[bool, str]:
        """Send one request to each configured API, and compare the region. Nothing is changed.

        Returns:
            Whether the connection works, and a message for the user.
        """
        try:
            connection = self.get_connection(self.customerio_conn_id)
            with self._track_client(timeout=_TEST_SECONDS, retry_for=0) as client:
                workspace = client.region()
            if app := self._app_client(timeout=_TEST_SECONDS, retry_for=0):
                with app:
                    app.segments()
            configured = self._extra(connection).region
        except SyncError as error:
            return False, str(error)
        if not connection.host and workspace.region != configured:
            return False, (
                f"The workspace is in region {workspace.region}, but the connection has region {configured}."
                f" Set region to {workspace.region}."
            )
        return True, f"Connected to workspace {workspace.environment_id} in region {workspace.region}."

    def _track_client(self, *, timeout: float, retry_for: float) -> TrackClient:
        connection = self.get_connection(self.customerio_conn_id)
        if not connection.login or not connection.password:
            raise self._error(
                "login or password is empty. Enter the Site ID as login and the Track API key as password."
                " Both are in Customer.io under Settings > API Credentials."
            )
        extra = self._extra(connection)
        with self._naming_connection("login or password"):
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
        with self._naming_connection("app_api_key"):
            app_host = self._valid_url("app_host", extra.app_host)
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
            raise self._error("extra is not valid JSON. Correct it.") from None
        if extra is None:  # Some forms store null for an empty field.
            extra = {}
        if not isinstance(extra, dict):
            raise self._error('extra is not a JSON object. Enter one, such as {"region": "eu"}')
        try:
            return _Extra.model_validate(extra)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
            key = ".".join(map(str, problem["loc"])) or "extra"
            if problem["type"] == "extra_forbidden":
                raise self._error(f"unknown key {_redact_key(key)} in extra. {_suggest_key(key)}") from None
            raise self._not_valid(key, problem["msg"].removeprefix("Value error, ")) from None

    def _base_url(self, connection: Connection) -> str:
        url = connection.host or ""
        if url and connection.port:
            url = f"{url.rstrip('/')}:{connection.port}"
        return self._valid_url("host", url)

    def _valid_url(self, field: str, url: str) -> str:
        try:
            return url and validate_base_url(url)
        except AddressError as error:
            raise self._not_valid(field, str(error)) from None

    @contextmanager
    def _naming_connection(self, fields: str) -> Iterator[None]:
        """Add the connection and its fields to the errors that creating a client raises."""
        try:
            yield
        except CredentialsError as error:
            raise self._not_valid(fields, str(error)) from None

    def _not_valid(self, field: str, problem: str) -> ConfigurationError:
        return self._error(f"{field} is not valid. {problem}")

    def _error(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"Connection {self.customerio_conn_id}: {problem}")


def _suggest_key(key: str) -> str:
    """Suggest a replacement for an unknown key, or list all keys."""
    name = key.rpartition("__")[2].lower().replace("-", "_")  # Old forms add a prefix.
    known = list(_Extra.model_fields)
    suggestions = [_KEY_SUGGESTIONS[name]] if name in _KEY_SUGGESTIONS else []
    suggestions += difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {suggestions[0]}?" if suggestions else f"The keys are {', '.join(known)}."


def _redact_key(key: str) -> str:
    """Return an unknown key if it looks like a name. Another text can be a misplaced secret."""
    return key if key.isascii() and key.isidentifier() and len(key) <= _MAX_SHOWN_KEY else "(not a name)"
