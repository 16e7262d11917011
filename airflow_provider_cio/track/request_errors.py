"""Translate what a failed request raises into one of our errors: an outage, or a wrong configuration.

requests, urllib3, http.client and ssl wrap each other's exceptions, so the most specific class can be
anywhere in the chain of causes. The exceptions' texts can contain the URL of a proxy with its password, so no
message repeats them.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING

import requests
import urllib3.exceptions

from airflow_provider_cio.errors import AddressError, ConfigurationError, SyncError, UnavailableError
from airflow_provider_cio.track.environment import (
    describe_proxy,
    find_proxy,
    malformed_proxy,
    proxy_error,
    refused_by_proxy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Everything that a request can raise.
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

#: Descriptions of outages by class of exception, the most specific first.
_OUTAGES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror, urllib3.exceptions.NameResolutionError), "the name cannot be resolved"),
    ((ConnectionRefusedError,), "the connection was refused"),
    ((TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError), "the connection timed out"),
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
        "the connection was closed before the response was complete",
    ),
    ((ssl.SSLError,), "the TLS connection failed"),
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
        "the response is not valid HTTP",
    ),
    ((urllib3.exceptions.NewConnectionError, OSError), "the host cannot be reached"),
    ((urllib3.exceptions.ProtocolError,), "the response is not valid HTTP"),
)

#: OpenSSL's reasons for a server that does not speak TLS.
_NO_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "HTTPS_PROXY_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
}
#: OpenSSL's reasons for a server with which Python shares no TLS version or cipher.
_NO_COMMON_TLS = {
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "NO_CIPHERS_AVAILABLE",
    "DH_KEY_TOO_SMALL",
}
#: TLS alerts that an outage can cause, too.
_TRANSIENT_ALERTS = ("INTERNAL_ERROR", "CLOSE_NOTIFY", "BAD_RECORD_MAC", "USER_CANCELLED", "RECORD_OVERFLOW")

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")
#: Statuses of a proxy's response to CONNECT that can change without an intervention.
_TRANSIENT_TUNNEL_STATUSES = {408, 429, 500, 502, 503, 504, 522, 524}


def translate_request_error(error: BaseException, url: str, origin: str) -> SyncError:
    """Translate an exception of a request into one of our errors.

    Args:
        error: One of `REQUEST_ERRORS`.
        url: The URL of the request.
        origin: Scheme, host and port of the URL, which the message may contain.
    """
    causes = list(_causes(error))
    proxy = find_proxy(url)
    if proxy and (problem := _proxy_problem(causes, url)):
        return problem
    if any(isinstance(cause, _MALFORMED_URL) for cause in causes):
        return AddressError(f"{origin} is not a valid URL. Correct the host of the connection.")
    failed_proxy = None
    if proxy and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        failed_proxy = proxy
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and (tls_problem := _describe_tls_problem(cause)):
            if failed_proxy:
                return proxy_error(url, f"names a proxy to which TLS fails: {tls_problem}")
            return ConfigurationError(f"The TLS connection to {origin} failed: {tls_problem}.")
    peer = describe_proxy(url, failed_proxy) if failed_proxy else origin
    return UnavailableError(f"No response from {peer}: {_describe_outage(causes)}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and every exception in its chain of causes, each of them once."""
    found: list[BaseException] = []
    left: list[object] = [error]
    while left:
        each = left.pop(0)
        if isinstance(each, BaseException) and not any(each is other for other in found):
            found.append(each)
            yield each
            left += [getattr(each, "reason", None), *each.args, each.__cause__, each.__context__]


def _proxy_problem(causes: list[BaseException], url: str) -> ConfigurationError | None:
    """Return an error if the proxy's URL is not valid, or if the proxy refused to connect."""
    for cause in causes:
        if isinstance(cause, (*_MALFORMED_PROXY, urllib3.exceptions.LocationValueError, UnicodeError)):
            return malformed_proxy(url)
        if isinstance(cause, requests.exceptions.InvalidSchema):
            return proxy_error(
                url,
                "names a SOCKS proxy, which needs the package requests[socks]. Install it on every worker, or"
                " use an HTTP proxy",
            )
        refusal = _TUNNEL_REFUSED.search(str(cause))
        if refusal and int(refusal[1]) not in _TRANSIENT_TUNNEL_STATUSES:
            return refused_by_proxy(url, int(refusal[1]))
    return None


def _describe_tls_problem(error: ssl.SSLError) -> str:
    """Describe a TLS problem and its correction, without a final period; empty for a transient problem."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{error.verify_message.rstrip('.')}. Correct the host, or set REQUESTS_CA_BUNDLE in the worker's"
            " environment to a PEM file with the authority of the server or proxy"
        )
    reason = error.reason or ""
    if reason in _NO_TLS:
        return "the server does not speak TLS on this port. Correct host and port, or use a URL with http://"
    if reason in _NO_COMMON_TLS:
        return (
            "the server offers no TLS version or cipher that Python accepts. Update TLS on the server, or"
            " correct the host"
        )
    if "_ALERT_" in reason and not reason.endswith(_TRANSIENT_ALERTS):
        alert = reason.partition("_ALERT_")[2].lower().replace("_", " ")
        return (
            f"the server refused the handshake ({alert}). Correct the host. A server that requires a client"
            " certificate is not supported"
        )
    return ""


def _describe_outage(causes: list[BaseException]) -> str:
    for classes, description in _OUTAGES:
        if any(isinstance(cause, classes) for cause in causes):
            return description
    return "the connection failed"
