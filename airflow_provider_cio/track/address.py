"""Checks of base URLs and keys before the first request. Error messages never repeat the value."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from airflow_provider_cio.errors import AddressError, CredentialsError

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_PORTS = range(1, 65_536)
#: The longest name that DNS allows, in characters.
_MAX_HOST_LENGTH = 253
_EXAMPLE = "such as https://track.customer.io"


def validate_base_url(url: str) -> str:
    """Check a base URL and return it without trailing slashes.

    Args:
        url: Scheme, host, and optionally port and path.

    Raises:
        AddressError: The URL is not valid.
    """
    if not url.startswith(("http://", "https://")):
        raise AddressError("The URL must begin with https:// or http://")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise AddressError(
            "The URL contains a space, a line break or another character that is not valid in URLs."
            f" Enter it again, {_EXAMPLE}"
        )
    rest = url.partition("://")[2]
    if "@" in rest:
        raise AddressError(
            "The URL contains a user name or a password. Enter a base URL without them,"
            f" {_EXAMPLE}. Site ID and Track API key belong in login and password of the connection"
        )
    if "?" in rest or "#" in rest:
        raise AddressError(f"The URL contains a query or a fragment. Enter a base URL, {_EXAMPLE}")
    _check_host_and_port(url)
    return url.rstrip("/")


def _check_host_and_port(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressError(
            "The URL does not have a valid host, or has a port that is not a number from 1 to 65535."
            f" Enter a base URL, {_EXAMPLE}"
        ) from None
    if port is not None and port not in _PORTS:
        raise AddressError(
            f"The URL has a port that is not a number from 1 to 65535. Enter a base URL, {_EXAMPLE}"
        )
    host = parts.netloc.rpartition(":")[0] if port else parts.netloc.removesuffix(":")
    if not _HOST.fullmatch(host) or len(host) > _MAX_HOST_LENGTH or ".." in host or host.startswith("."):
        raise AddressError(f"The URL does not have a valid host. Enter a base URL, {_EXAMPLE}")


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, which error messages may contain."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def validate_key(name: str, key: str) -> str:
    """Check a Site ID or a key and return it.

    Args:
        name: What the key is, for the error message.
        key: The key.

    Raises:
        CredentialsError: The key is empty, or contains a character that keys never contain.
    """
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise CredentialsError(
            f"The {name} is empty, or contains a space, a line break or another character that is not valid"
            " in keys. Copy it again from Customer.io, Settings > API Credentials."
        )
    return key
