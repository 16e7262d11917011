"""The options of an emulator, and the command line flags for them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True)
class Options:
    """The options of an emulator.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        site_id: The user name of the Track API.
        api_key: The password of the Track API.
        app_api_key: The bearer key of the App API.
        database: The SQLite file with the workspace; by default the workspace is kept in memory only.
        count_only: Count the operations of a batch without parsing and storing them.
        faults: Offer ``/_faults``, which injects faults into the Track API.
        certfile: A PEM file with a certificate chain; turns on HTTPS.
        keyfile: The PEM key of the certificate.
    """

    host: str = "127.0.0.1"
    port: int = 8005
    site_id: str = "emulator-site-id"
    api_key: str = "emulator-api-key"
    app_api_key: str = "emulator-app-api-key"
    database: str = ":memory:"
    count_only: bool = False
    faults: bool = False
    certfile: str | None = None
    keyfile: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each of the `Options` to a parser."""
    default = Options()
    parser.add_argument("--host", default=default.host, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", default=default.port, type=int, help="port, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--site-id", default=default.site_id, help="user name of the Track API (default: %(default)s)"
    )
    parser.add_argument(
        "--api-key", default=default.api_key, help="password of the Track API (default: %(default)s)"
    )
    parser.add_argument(
        "--app-api-key", default=default.app_api_key, help="key of the App API (default: %(default)s)"
    )
    parser.add_argument(
        "--database", default=default.database, metavar="FILE", help="SQLite file (default: in memory)"
    )
    parser.add_argument("--count-only", action="store_true", help="count operations instead of storing them")
    parser.add_argument(
        "--faults", action="store_true", help="offer /_faults, which injects faults into the Track API"
    )
    parser.add_argument("--certfile", metavar="PEM", help="certificate chain; turns on HTTPS")
    parser.add_argument("--keyfile", metavar="PEM", help="key of the certificate")


def read_options(arguments: argparse.Namespace) -> Options:
    """Return the options that parsed flags set."""
    return Options(**{field.name: getattr(arguments, field.name) for field in fields(Options)})
