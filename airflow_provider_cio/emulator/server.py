"""The process: from command line flags to a listening server, and down again on a signal."""

import argparse
import contextlib
import socket
from collections.abc import Sequence

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airflow_provider_cio.emulator.app import create_app
from airflow_provider_cio.emulator.options import Options, add_arguments, read_options

GRACE_SECONDS = 1
"""How long requests in flight may finish after the signal to stop; those that hang on purpose never do."""


class Protocol(HttpToolsProtocol):
    """HTTP that shows applications the connection, for the faults that break it."""

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class Server(uvicorn.Server):
    """A server that says how to reach it as soon as that is possible."""

    def __init__(self, config: uvicorn.Config, options: Options) -> None:
        super().__init__(config)
        self._options = options

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the values in force, the URL last."""
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        scheme = "https" if self._options.certfile else "http"
        for name in ("site_id", "api_key", "app_api_key", "database", "count_only", "faults"):
            print(f"{name}: {getattr(self._options, name)}")  # noqa: T201
        print(f"url: {scheme}://{self._options.host}:{port}", flush=True)  # noqa: T201


def serve(options: Options) -> None:
    """Run an emulator until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        create_app(options),
        host=options.host,
        port=options.port,
        http=Protocol,
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=options.certfile,
        ssl_keyfile=options.keyfile,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):
        Server(config, options).run()


def run(arguments: argparse.Namespace) -> None:
    """Run an emulator with flags from :func:`airflow_provider_cio.emulator.options.add_arguments`."""
    serve(read_options(arguments))


def main(argv: Sequence[str] | None = None) -> None:
    """Run an emulator with the flags of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_cio.emulator",
        description="A strict local Customer.io workspace. Every flag has a default.",
    )
    add_arguments(parser)
    run(parser.parse_args(argv))
