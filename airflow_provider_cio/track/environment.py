"""The environment variables that affect requests: proxies, and the certificate authorities to trust.

A proxy's URL can contain a password. Error messages contain the variable's name, and at most host and port.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import requests.utils
import urllib3.exceptions

from airflow_provider_cio.errors import ConfigurationError

_NOT_A_PROXY = "is not the URL of a proxy. Set it to a URL such as http://proxy.example.com:3128"


def check_environment(session: requests.Session, url: str) -> None:
    """Check the proxy and the certificate authorities that requests to a URL will use.

    Args:
        session: The session that will make the requests.
        url: The URL of a request.

    Raises:
        ConfigurationError: The proxy's URL is not valid, or the authorities cannot be read.
    """
    try:
        if proxy := find_proxy(url):
            requests.utils.prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, urllib3.exceptions.HTTPError):
        raise malformed_proxy(url) from None
    if url.startswith("https://"):
        _check_authorities(session.merge_environment_settings(url, {}, None, None, None)["verify"])


def _check_authorities(verify: object) -> None:
    """Check that the file or folder of trusted certificate authorities can be read."""
    if not isinstance(verify, (str, os.PathLike)):
        return
    try:
        if Path(verify).is_dir():
            os.listdir(verify)  # noqa: PTH208 - the call only has to succeed
        else:
            ssl.create_default_context(cafile=str(verify))
    except (OSError, ValueError):
        raise ConfigurationError(
            "REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE) in the worker's environment is not the path of a readable"
            " PEM file with certificates. Correct or unset it."
        ) from None


def find_proxy(url: str) -> str | None:
    """Return the URL of the proxy that requests uses for a URL."""
    proxies = requests.utils.get_environ_proxies(url)
    proxy: str | None = requests.utils.select_proxy(url, proxies)
    return proxy


def describe_proxy(url: str, proxy: str) -> str:
    """Describe a proxy by host, port and variable, without user and password.

    Args:
        url: The URL of the request.
        proxy: The URL of the proxy.
    """
    host = proxy.rpartition("://")[2].rpartition("@")[2].partition("/")[0]
    return f"the proxy {host} ({_proxy_variable(url)})"


def malformed_proxy(url: str) -> ConfigurationError:
    """Return the error for a proxy whose URL is not valid.

    Args:
        url: The URL of the request.
    """
    return proxy_error(url, _NOT_A_PROXY)


def refused_by_proxy(url: str, status: int) -> ConfigurationError:
    """Return the error for a proxy that refuses to forward a request.

    Args:
        url: The URL of the request.
        status: The proxy's HTTP status.
    """
    return proxy_error(
        url,
        f"names a proxy that refuses to forward requests ({status}). Correct its URL, user and password,"
        " allow Customer.io in the proxy, or add the host to NO_PROXY",
    )


def proxy_error(url: str, problem: str) -> ConfigurationError:
    """Return an error that names the variable with the proxy.

    Args:
        url: The URL of the request.
        problem: What is wrong with the variable and how to correct it: a sentence without subject and period.
    """
    return ConfigurationError(f"{_proxy_variable(url)} in the worker's environment {problem}.")


def _proxy_variable(url: str) -> str:
    """Return the name of the environment variable that sets the proxy of a URL."""
    scheme = urlsplit(url).scheme
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    return next((name for name in names if os.environ.get(name)), f"{scheme}_proxy".upper())
