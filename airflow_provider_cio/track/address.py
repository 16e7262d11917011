"""Base URLs and keys as people paste them, checked before the first request. No message repeats them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from airflow_provider_cio.errors import AddressError, CredentialsError

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_PORTS = range(1, 65_536)
_LONGEST_NAME = 253


def checked_url(url: str) -> str:
    """Return a base URL without a slash at its end.

    Raises:
        AddressError: It is not one.
    """
    if not url.startswith(("http://", "https://")):
        raise AddressError("The URL has to begin with https:// (or http://)")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise AddressError(
            "The URL contains a space, a line break or another character that URLs do not have;"
            " paste it again, such as https://track.customer.io"
        )
    rest = url.partition("://")[2]
    if "@" in rest:
        raise AddressError(
            "The URL contains a user name or a password. Give Site ID and Track API key as login and password"
            " of the connection, and the URL without them, such as https://track.customer.io"
        )
    if "?" in rest or "#" in rest:
        raise AddressError(
            "The URL has a query or a fragment. Give a base URL, such as https://track.customer.io"
        )
    try:
        parts = urlsplit(url)
        port, host = (
            parts.port,
            parts.netloc.rpartition(":")[0] if parts.port else parts.netloc.removesuffix(":"),
        )
    except ValueError:
        raise AddressError(
            "The URL has a port that is not a number from 1 to 65535, or no valid host"
        ) from None
    if port is not None and port not in _PORTS:
        raise AddressError("The URL has a port that is not a number from 1 to 65535")
    if not _HOST.fullmatch(host) or len(host) > _LONGEST_NAME or ".." in host or host.startswith("."):
        raise AddressError("The URL has no valid host. Give a base URL, such as https://track.customer.io")
    return url.rstrip("/")


def origin(url: str) -> str:
    """Return scheme, host and port of a URL: what may be shown of it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def checked_key(name: str, key: str) -> str:
    """Return a Site ID or a key.

    Args:
        name: What it is, for the error.
        key: As it was pasted.

    Raises:
        CredentialsError: It contains a character that no key has.
    """
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise CredentialsError(
            f"The {name} is empty, or contains a space, a line break or another character that keys do not"
            " have. Copy it again from Customer.io, Settings > API Credentials."
        )
    return key
