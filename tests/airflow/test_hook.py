"""Connections of type customerio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_cio.emulator.process import EmulatorProcess
    from airflow_provider_cio.hooks.customerio import CustomerIOHook
    from tests.airflow.conftest import Airflow


def hook(airflow: Airflow, **fields: Any) -> CustomerIOHook:
    """Make a hook of a connection with these fields."""
    from airflow_provider_cio.hooks.customerio import CustomerIOHook

    airflow.connect(
        "customerio_hook", **{"conn_type": "customerio", "login": "s", "password": "key-12345", **fields}
    )
    return CustomerIOHook("customerio_hook")


def test_the_host_defaults_to_the_region(airflow: Airflow) -> None:
    """Without a host it is Customer.io itself, in the region that the connection names."""
    assert hook(airflow).get_conn().base_url == "https://track.customer.io"
    assert hook(airflow, extra={"region": "eu"}).get_conn().base_url == "https://track-eu.customer.io"


def test_fields_that_the_form_left_empty_have_their_defaults(airflow: Airflow) -> None:
    """The form stores an empty text or null for what nobody filled in."""
    client = hook(airflow, extra={"max_concurrent_requests": None, "region": ""}).get_conn()
    assert client.max_concurrent_requests == 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"login": ""}, "needs the Site ID"),
        ({"host": "track.customer.io"}, "begin with https://"),
        ({"extra": {"region": "de"}}, "wrong region: Input should be 'us' or 'eu'"),
        ({"extra": [1]}, "wrong extra"),
        ({"extra": {"max_requests_per_second": 0}}, "wrong max_requests_per_second"),
    ],
)
def test_a_connection_that_cannot_be_meant_is_refused(
    airflow: Airflow, fields: dict[str, Any], message: str
) -> None:
    """The message names the connection and the field, and no value of a secret one."""
    with pytest.raises(ConfigurationError, match=message) as error:
        hook(airflow, **fields).get_conn()
    assert "customerio_hook" in str(error.value)
    assert "key-12345" not in str(error.value)


def test_test_connection_tells_good_from_bad(airflow: Airflow, emulator: EmulatorProcess) -> None:
    """It asks the API, changes nothing there, and never shows the key."""
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
    """Both APIs of a workspace are in one region; without a key there is no client."""
    for region, url in {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"}.items():
        app = hook(airflow, extra={"region": region, "app_api_key": "k"}).get_app_client()
        assert app
        assert app.base_url == url
    assert hook(airflow).get_app_client() is None


def test_test_connection_leaves_no_trace(airflow: Airflow, emulator: EmulatorProcess) -> None:
    """A press of the button creates nobody and changes nothing in the workspace."""

    def held() -> dict[str, int]:
        stats: dict[str, int] = requests.get(f"{emulator.url}/_emulator/stats", timeout=5).json()
        return stats

    before = held()
    good = {"login": emulator.site_id, "password": emulator.api_key, "host": emulator.url}
    extra = {"app_api_key": emulator.app_api_key, "app_host": emulator.url}
    assert hook(airflow, **good, extra=extra).test_connection()[0]
    assert held() == {**before, "requests": before["requests"] + 1}
