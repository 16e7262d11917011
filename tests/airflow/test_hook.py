"""The hook: connections of type customerio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.process import EmulatorProcess
    from airflow_provider_cio.hooks.customerio import CustomerIOHook
    from tests.airflow.conftest import Airflow


def hook(airflow: Airflow, **fields: Any) -> CustomerIOHook:
    """Create a hook with a connection that has these fields."""
    from airflow_provider_cio.hooks.customerio import CustomerIOHook

    airflow.connect(
        "customerio_hook", **{"conn_type": "customerio", "login": "s", "password": "key-12345", **fields}
    )
    return CustomerIOHook("customerio_hook")


def test_the_host_defaults_to_the_region(airflow: Airflow) -> None:
    """Without a host, the client uses Customer.io in the connection's region."""
    assert hook(airflow).get_conn().base_url == "https://track.customer.io"
    assert hook(airflow, extra={"region": "eu"}).get_conn().base_url == "https://track-eu.customer.io"


def test_fields_that_the_form_left_empty_have_their_defaults(airflow: Airflow) -> None:
    """Fields that are empty in the form, which stores an empty text or null, have their defaults."""
    client = hook(airflow, extra={"max_concurrent_requests": None, "region": ""}).get_conn()
    assert client.max_concurrent_requests == 8
    for empty in ("", " ", "null", "{}"):
        assert hook(airflow, extra=empty).get_conn().max_concurrent_requests == 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"login": ""}, "Enter the Site ID as login"),
        ({"login": "site\n"}, "Site ID is empty, or contains"),
        ({"password": "key-12345\n"}, "Track API key is empty, or contains"),
        ({"password": "kéy-12345"}, "Track API key is empty, or contains"),
        ({"host": "track.customer.io"}, "begin with https://"),
        ({"host": "user:key-12345@track.customer.io"}, "begin with https://"),
        ({"host": "https://user:key-12345@track.customer.io"}, "contains a user name or a password"),
        ({"host": "https://key-12345@track.customer.io"}, "contains a user name or a password"),
        ({"host": "https://track.customer.io?key-12345"}, "query or a fragment"),
        ({"host": "https://track.customer.io/#key-12345"}, "query or a fragment"),
        ({"host": "https://track.customer.io "}, "contains a space"),
        ({"host": "https://track.customer.io\n"}, "contains a space"),
        ({"host": "https://track.customer.io:key-12345"}, "port that is not a number"),
        ({"host": "https://track.customer.io:8443", "port": 8443}, "not have a valid host"),
        ({"extra": {"region": "de"}}, "region is not valid. Input should be 'us' or 'eu'"),
        ({"extra": {"region": 1}}, "region is not valid"),
        ({"extra": [1]}, "extra is not a JSON object"),
        ({"extra": "text"}, "extra is not valid JSON"),
        ({"extra": "{"}, "extra is not valid JSON"),
        ({"extra": {"api_key": "key-12345"}}, "unknown key api_key in extra. Did you mean app_api_key?"),
        ({"extra": {"app_key": "key-12345"}}, "unknown key app_key in extra. Did you mean app_api_key?"),
        ({"extra": {"Region": "eu"}}, "unknown key Region in extra. Did you mean region?"),
        ({"extra": {"extra__customerio__region": "eu"}}, "Did you mean region?"),
        ({"extra": {"app-host": "https://x"}}, "Did you mean app_host?"),
        ({"extra": {"retry_for": 3}}, r"Did you mean \[customerio\] retry_for?"),
        ({"extra": {"xyz": "key-12345"}}, "unknown key xyz in extra. The keys are region, app_api_key"),
        ({"extra": {"key-12345": 1}}, "unknown key"),
        ({"extra": {"max_requests_per_second": 0}}, "max_requests_per_second is not valid"),
        ({"extra": {"max_requests_per_second": -1}}, "max_requests_per_second is not valid"),
        ({"extra": {"max_requests_per_second": 1001}}, "max_requests_per_second is not valid"),
        ({"extra": {"max_requests_per_second": True}}, "max_requests_per_second is not valid"),
        ({"extra": {"max_requests_per_second": "fast"}}, "max_requests_per_second is not valid"),
        ({"extra": '{"max_requests_per_second": NaN}'}, "max_requests_per_second is not valid"),
        ({"extra": '{"max_requests_per_second": Infinity}'}, "max_requests_per_second is not valid"),
        ({"extra": '{"max_requests_per_second": 1e999}'}, "max_requests_per_second is not valid"),
        ({"extra": {"max_requests_per_second": [1]}}, "max_requests_per_second is not valid"),
        ({"extra": {"max_concurrent_requests": 0}}, "max_concurrent_requests is not valid"),
        ({"extra": {"max_concurrent_requests": 65}}, "max_concurrent_requests is not valid"),
        ({"extra": {"max_concurrent_requests": 1.5}}, "max_concurrent_requests is not valid"),
        ({"extra": {"max_concurrent_requests": "NaN"}}, "max_concurrent_requests is not valid"),
        ({"extra": {"max_concurrent_requests": False}}, "max_concurrent_requests is not valid"),
        ({"extra": {"workspace_id": "one"}}, "workspace_id is not valid"),
        ({"extra": {"app_api_key": {"key-12345": 1}}}, "app_api_key is not valid"),
        ({"extra": {"app_api_key": 12345}}, "app_api_key is not valid"),
    ],
    ids=str,
)
def test_a_connection_that_is_not_valid_is_refused(
    airflow: Airflow, fields: dict[str, Any], message: str
) -> None:
    """The message names the connection and the field, and no value. The test button shows it, too."""
    broken = hook(airflow, **fields)
    with pytest.raises(ConfigurationError, match=message) as error:
        broken.get_conn()
    assert "customerio_hook" in str(error.value)
    assert "12345" not in str(error.value)
    assert broken.test_connection() == (False, str(error.value))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            {"app_api_key": "k", "app_host": "https://user:key-12345@h"},
            "app_host is not valid. The URL contains a user",
        ),
        ({"app_api_key": "key-12345\n"}, "App API key is empty, or contains"),
    ],
)
def test_an_app_api_that_is_not_valid_is_refused(
    airflow: Airflow, extra: dict[str, Any], message: str
) -> None:
    """A wrong App API connection is refused before a run sends anything."""
    with pytest.raises(ConfigurationError, match=message) as error:
        hook(airflow, extra=extra).get_app_client()
    assert "12345" not in str(error.value)


def test_numbers_may_be_texts(airflow: Airflow) -> None:
    """Numbers can be given as texts, because a connection in a URL has only texts."""
    extra = {"max_requests_per_second": "50", "max_concurrent_requests": "4", "workspace_id": 12}
    assert hook(airflow, extra=extra).get_conn().max_concurrent_requests == 4


@pytest.mark.parametrize("name", ["request_timeout", "retry_for", "apply_wait"])
@pytest.mark.parametrize("value", ["soon", "10 seconds", "-1", "nan", "inf", "1e9", "None"])
def test_a_setting_that_is_not_valid_is_refused(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The message names the section and the option, and contains an example."""
    from airflow_provider_cio.hooks.customerio import read_seconds

    monkeypatch.setenv(f"AIRFLOW__CUSTOMERIO__{name.upper()}", value)
    with pytest.raises(ConfigurationError, match=rf"\[customerio\] {name} .* such as {name} = \d+"):
        read_seconds(name)
    if name != "apply_wait":
        with pytest.raises(ConfigurationError, match=name):
            hook(airflow).get_conn()


def test_a_request_needs_time(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout of 0 is not valid, because no request could succeed; 0 is valid for the other options."""
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__RETRY_FOR", "0")
    hook(airflow).get_conn()
    monkeypatch.setenv("AIRFLOW__CUSTOMERIO__REQUEST_TIMEOUT", "0")
    with pytest.raises(ConfigurationError, match="request_timeout"):
        hook(airflow).get_conn()


def test_the_form_the_hook_and_the_client_have_the_same_defaults(airflow: Airflow) -> None:
    """The form, the hook, the client and the documentation have the same defaults."""
    from airflow.sdk.configuration import conf

    from airflow_provider_cio import settings
    from airflow_provider_cio.provider_info import get_provider_info

    (connection_type,) = get_provider_info()["connection-types"]
    fields = connection_type["conn-fields"]
    concurrent = fields["max_concurrent_requests"]["schema"]
    assert concurrent["default"] == hook(airflow).get_conn().max_concurrent_requests
    assert (concurrent["minimum"], concurrent["maximum"]) == (1, 64)
    assert fields["max_requests_per_second"]["schema"]["default"] == settings.REQUESTS_PER_SECOND.default
    assert conf.getfloat("customerio", "request_timeout") == settings.REQUEST_TIMEOUT.default
    documentation = (Path(__file__).parents[2] / "docs/connections.md").read_text()
    for name in ("max_requests_per_second", "max_concurrent_requests"):
        assert f"| `{name}` | {fields[name]['schema']['default']} (default)" in documentation
    assert all(f"`{name}`" in documentation for name in fields)
    for name, option in get_provider_info()["config"]["customerio"]["options"].items():
        default = "a folder under `AIRFLOW_HOME`" if name.endswith("_url") else option["default"]
        assert f"| `{name}` | {default} |" in documentation


def test_test_connection_tells_good_from_bad(airflow: Airflow, emulator: EmulatorProcess) -> None:
    """The test button distinguishes right and wrong connections, and never shows the key."""
    good = {"login": emulator.site_id, "password": emulator.api_key, "host": emulator.url}
    assert hook(airflow, **good).test_connection()[0]
    ok, message = hook(airflow, **{**good, "password": "wrong-key"}).test_connection()
    assert (ok, "refused the credentials (401)" in message, "wrong-key" in message) == (False, True, False)
    for nowhere in ("http://127.0.0.1:9", "http://a..b"):
        assert not hook(airflow, **{**good, "host": nowhere}).test_connection()[0]
    assert not hook(airflow, **{**good, "password": "kéy-€"}).test_connection()[0]
    ok, message = hook(airflow, **{**good, "host": f"{emulator.url}/elsewhere"}).test_connection()
    assert (ok, "404" in message) == (False, True)


def test_the_app_api_is_that_of_the_region(airflow: Airflow) -> None:
    """The App API client uses the connection's region, and does not exist without a key."""
    for region, url in {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"}.items():
        app = hook(airflow, extra={"region": region, "app_api_key": "k"}).get_app_client()
        assert app
        assert app.base_url == url
    assert hook(airflow).get_app_client() is None


def test_the_app_api_is_where_the_track_api_is(airflow: Airflow) -> None:
    """The App API defaults to the host of the Track API, so that no request of a test reaches Customer.io."""
    for fields, url in (
        ({"host": "http://127.0.0.1:8005"}, "http://127.0.0.1:8005"),
        ({"host": "http://127.0.0.1/", "port": 8005}, "http://127.0.0.1:8005"),
        ({"host": "http://127.0.0.1:8005", "extra": {"app_host": "http://h:1/"}}, "http://h:1"),
    ):
        extra = {"app_api_key": "k", **fields.pop("extra", {})}  # type: ignore[dict-item]
        app = hook(airflow, extra=extra, **fields).get_app_client()
        assert app
        assert app.base_url == url


def test_test_connection_leaves_no_trace(airflow: Airflow, emulator: EmulatorProcess) -> None:
    """The test button changes nothing in the workspace."""

    def held() -> dict[str, int]:
        stats: dict[str, int] = requests.get(f"{emulator.url}/_emulator/stats", timeout=5).json()
        return stats

    before = held()
    good = {"login": emulator.site_id, "password": emulator.api_key, "host": emulator.url}
    extra = {"app_api_key": emulator.app_api_key, "app_host": emulator.url}
    assert hook(airflow, **good, extra=extra).test_connection()[0]
    assert held() == {**before, "requests": before["requests"] + 1}
