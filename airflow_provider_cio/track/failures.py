"""What a request that failed means: an outage, which passes, or a configuration that a person has to change.

requests, urllib3, http.client and ssl wrap each other's errors, so that the class which tells most is
somewhere among the causes. Their texts may hold the URL of a proxy with its password. None is repeated.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import requests.utils
import urllib3.exceptions

from airflow_provider_cio.errors import AddressError, ConfigurationError, SyncError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: All that a request can raise.
REQUEST_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # UnicodeError among them
    ArithmeticError,
)

_MALFORMED_PROXY = (
    requests.exceptions.InvalidProxyURL,
    urllib3.exceptions.ProxySchemeUnknown,
    urllib3.exceptions.ProxySchemeUnsupported,
)
_MALFORMED_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationValueError,
    UnicodeError,
)

#: Outages, by class: the first that is among the causes tells what happened.
_OUTAGES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror, urllib3.exceptions.NameResolutionError), "its name cannot be resolved"),
    ((ConnectionRefusedError,), "it refused the connection"),
    (
        (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError),
        "it did not accept the connection in time",
    ),
    (
        (
            ConnectionResetError,
            BrokenPipeError,
            ConnectionAbortedError,
            http.client.RemoteDisconnected,
            http.client.IncompleteRead,
            urllib3.exceptions.IncompleteRead,
            ssl.SSLEOFError,
            ssl.SSLZeroReturnError,
        ),
        "it closed the connection before its answer was complete",
    ),
    ((ssl.SSLError,), "the TLS connection broke"),
    (
        (
            http.client.HTTPException,
            urllib3.exceptions.InvalidHeader,
            urllib3.exceptions.DecodeError,
            requests.exceptions.InvalidHeader,
            requests.exceptions.ContentDecodingError,
            ValueError,
            ArithmeticError,
        ),
        "its answer is not valid HTTP",
    ),
    ((urllib3.exceptions.NewConnectionError, OSError), "it cannot be reached"),
    ((urllib3.exceptions.ProtocolError,), "its answer is not valid HTTP"),
)

#: What OpenSSL reports when the other side does not speak TLS, or not with us.
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL"} | {
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
}
_NO_COMMON_TLS = {
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "NO_CIPHERS_AVAILABLE",
    "DH_KEY_TOO_SMALL",
}
#: Alerts of the other side that an outage may cause, too.
_PASSING_ALERTS = ("INTERNAL_ERROR", "CLOSE_NOTIFY", "BAD_RECORD_MAC", "USER_CANCELLED", "RECORD_OVERFLOW")

_NOT_A_PROXY = "is not the URL of a proxy, such as http://proxy.example.com:3128"

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
#: Answers of a proxy to CONNECT that pass by themselves.
_PASSING_TUNNEL = {408, 429, 500, 502, 503, 504, 522, 524}


def failure(error: BaseException, url: str, shown: str) -> SyncError:
    """Make of an error what the caller can act upon.

    Args:
        error: One of `REQUEST_ERRORS`.
        url: What was asked for.
        shown: What may be shown of it.
    """
    causes = list(_causes(error))
    proxy = _proxy(url)
    through_proxy = bool(proxy) and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes)
    wrong = _proxy_problem(causes, url) if proxy else None
    if wrong:
        return wrong
    if any(isinstance(cause, _MALFORMED_URL) for cause in causes):
        return AddressError(f"{shown} is not a valid URL. Check the host of the connection.")
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and (problem := _tls_problem(cause)):
            if through_proxy:
                return _wrong_proxy(url, f"names a proxy with which no TLS connection can be made: {problem}")
            return ConfigurationError(f"No TLS connection to {shown} can be made: {problem}")
    who = f"the proxy {_shown_proxy(proxy)} ({_proxy_variable(url)})" if through_proxy else shown
    return UnavailableError(f"No answer from {who}: {_outage(causes)}")


def _proxy_problem(causes: list[BaseException], url: str) -> ConfigurationError | None:
    """Make an error of a proxy's URL that cannot be used, or of a proxy that refuses to connect."""
    for cause in causes:
        if isinstance(cause, (*_MALFORMED_PROXY, urllib3.exceptions.LocationValueError, UnicodeError)):
            return _wrong_proxy(url, _NOT_A_PROXY)
        if isinstance(cause, requests.exceptions.InvalidSchema):
            return _wrong_proxy(url, "names a proxy of a kind that needs a package which is not installed")
        if (refusal := _TUNNEL.search(str(cause))) and int(refusal[1]) not in _PASSING_TUNNEL:
            return proxy_refusal(url, int(refusal[1]))
    return None


def proxy_refusal(url: str, status: int) -> ConfigurationError:
    """Make an error of a proxy's refusal to pass a request on."""
    return _wrong_proxy(
        url,
        f"names a proxy that refuses to pass requests on ({status}). Correct its URL, user and password, let"
        " it allow Customer.io, or exempt the host by NO_PROXY",
    )


def check_environment(session: requests.Session, url: str) -> None:
    """Check what the environment sets for requests: a proxy, and the authorities that are trusted.

    Raises:
        ConfigurationError: It cannot be used.
    """
    try:
        if proxy := _proxy(url):
            requests.utils.prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, urllib3.exceptions.HTTPError):
        raise _wrong_proxy(url, _NOT_A_PROXY) from None
    if not url.startswith("https://"):
        return
    settings = session.merge_environment_settings(url, {}, None, None, None)
    verify = settings["verify"]
    if not isinstance(verify, (str, os.PathLike)):
        return
    try:
        if Path(verify).is_dir():
            os.listdir(verify)  # noqa: PTH208 - only whether it can be read
        else:
            ssl.create_default_context(cafile=str(verify))
    except (OSError, ValueError):
        raise ConfigurationError(
            "REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE) in the worker's environment does not name a file with"
            " certificates in PEM that can be read. Correct or unset it."
        ) from None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that are behind it, each once."""
    found: list[BaseException] = []
    left: list[object] = [error]
    while left:
        each = left.pop(0)
        if isinstance(each, BaseException) and not any(each is other for other in found):
            found.append(each)
            yield each
            left += [getattr(each, "reason", None), *each.args, each.__cause__, each.__context__]


def _outage(causes: list[BaseException]) -> str:
    for classes, text in _OUTAGES:
        if any(isinstance(cause, classes) for cause in causes):
            return text
    return "the connection failed"


def _tls_problem(error: ssl.SSLError) -> str:
    """Say what a person has to change about TLS; empty for what may pass by itself."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{error.verify_message.rstrip('.')}. Where a proxy or an emulator has an authority of its own,"
            " let REQUESTS_CA_BUNDLE in the worker's environment name a file with its certificate; else check"
            " the host."
        )
    reason = error.reason or ""
    if reason in _NO_TLS:
        return (
            "the server does not speak TLS on this port. Check host and port, or begin the URL with http://."
        )
    if reason in _NO_COMMON_TLS:
        return "the server offers no version or cipher of TLS that Python accepts."
    if "_ALERT_" in reason and not reason.endswith(_PASSING_ALERTS):
        return (
            f"the server refused it ({reason.partition('_ALERT_')[2].lower().replace('_', ' ')}). It may ask"
            " for a client certificate, which this provider does not send, or for another host name."
        )
    return ""


def _proxy(url: str) -> str | None:
    """Return the proxy through which requests reaches a URL."""
    proxies = requests.utils.get_environ_proxies(url)
    proxy: str | None = requests.utils.select_proxy(url, proxies)
    return proxy


def _proxy_variable(url: str) -> str:
    """Name the variable of the environment that sets the proxy."""
    scheme = urlsplit(url).scheme
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    return next((name for name in names if os.environ.get(name)), f"{scheme}_proxy".upper())


def _shown_proxy(proxy: str | None) -> str:
    """Return what may be shown of a proxy's URL: not its user and password."""
    return (proxy or "").rpartition("://")[2].rpartition("@")[2].partition("/")[0]


def _wrong_proxy(url: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{_proxy_variable(url)} in the worker's environment {what}.")
