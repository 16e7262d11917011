"""How an emulator is started, and the command line flags for it."""

import argparse
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Options:
    """What can be chosen.

    Attributes:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        site_id: The user name of the Track API.
        api_key: The password of the Track API.
        app_api_key: The bearer key of the App API.
        database: An SQLite file that keeps the workspace; by default it is gone when the emulator stops.
        count_only: Check who asks and the frame of a batch, and count the operations, without storing them.
        faults: Offer ``/_faults``, which makes the Track API misbehave.
        certfile: A PEM certificate chain; with it, the emulator speaks HTTPS.
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
    """Give the parser one flag for each of the :class:`Options`."""
    default = Options()
    parser.add_argument("--host", default=default.host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", default=default.port, type=int, help="port, 0 for a free one (%(default)s)")
    parser.add_argument("--site-id", default=default.site_id, help="user name of the Track API (%(default)s)")
    parser.add_argument("--api-key", default=default.api_key, help="password of the Track API (%(default)s)")
    parser.add_argument("--app-api-key", default=default.app_api_key, help="key of the App API (%(default)s)")
    parser.add_argument(
        "--database", default=default.database, metavar="FILE", help="SQLite file (in memory)"
    )
    parser.add_argument("--count-only", action="store_true", help="count operations instead of storing them")
    parser.add_argument("--faults", action="store_true", help="let /_faults make the Track API misbehave")
    parser.add_argument("--certfile", metavar="PEM", help="certificate chain; turns HTTPS on")
    parser.add_argument("--keyfile", metavar="PEM", help="key of the certificate")


def read_options(arguments: argparse.Namespace) -> Options:
    """The options that parsed flags ask for."""
    return Options(**{field.name: getattr(arguments, field.name) for field in fields(Options)})
