"""The server process, from its command line flags to its end by a signal."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airflow_provider_cio.emulator.app import create_app
from airflow_provider_cio.emulator.options import add_arguments, read_options

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from airflow_provider_cio.emulator.options import Options

#: Seconds for requests in flight after the signal to stop. Requests that an injected fault delays never end.
_GRACE_SECONDS = 1


class _Protocol(HttpToolsProtocol):
    """Give applications access to the connection, which injected faults break."""

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class _Server(uvicorn.Server):
    """Print the URL when the server listens."""

    def __init__(self, config: uvicorn.Config, options: Options) -> None:
        super().__init__(config)
        self._options = options

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the options, and the URL as the last line."""
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        scheme = "https" if self._options.certfile else "http"
        for name in ("site_id", "api_key", "app_api_key", "database", "count_only", "faults"):
            print(f"{name}: {getattr(self._options, name)}")  # noqa: T201
        print(f"url: {scheme}://{self._options.host}:{port}", flush=True)  # noqa: T201


def _serve(options: Options) -> None:
    """Run an emulator until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        create_app(options),
        host=options.host,
        port=options.port,
        http=_Protocol,
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=options.certfile,
        ssl_keyfile=options.keyfile,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, options).run()


def run(arguments: argparse.Namespace) -> None:
    """Run an emulator with the flags that `add_arguments` defines."""
    _serve(read_options(arguments))


def main(argv: Sequence[str] | None = None) -> None:
    """Run an emulator with the flags of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_cio.emulator",
        description="Run a strict local Customer.io workspace. Every flag has a default.",
    )
    add_arguments(parser)
    run(parser.parse_args(argv))
