"""Connections of type customerio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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
