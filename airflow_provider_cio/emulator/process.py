"""Run an emulator in its own process, for tests and the demo."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class EmulatorProcess:
    """Start an emulator on a free port at the start of a ``with`` block, and stop it at the end.

    Args:
        count_only: Count operations instead of storing them.
        faults: Offer ``/_faults``.
        database: The SQLite file with the workspace; None keeps it in memory.
        certfile: A PEM file with a certificate chain; turns on HTTPS.
        keyfile: The PEM key of the certificate.

    Attributes:
        url: The base URL of both APIs, such as ``http://127.0.0.1:34567``.
        site_id: The user name of the Track API.
        api_key: The password of the Track API.
        app_api_key: The bearer key of the App API.

    Example:
        >>> with EmulatorProcess() as emulator:
        ...     requests.get(f"{emulator.url}/api/v1/accounts/region", auth=emulator.auth)
    """

    def __init__(
        self,
        *,
        count_only: bool = False,
        faults: bool = False,
        database: Path | None = None,
        certfile: Path | None = None,
        keyfile: Path | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", "airflow_provider_cio.emulator", "--port", "0"]
        self._command += ["--count-only"] * count_only + ["--faults"] * faults
        for flag, path in (("--database", database), ("--certfile", certfile), ("--keyfile", keyfile)):
            self._command += [flag, str(path)] if path else []

    def __enter__(self) -> Self:
        """Start the emulator and wait until it listens.

        Raises:
            RuntimeError: The emulator ended instead. Its standard error has the reason.
        """
        # A new session keeps a keyboard interrupt from the emulator. The parent stops it then.
        self.process = subprocess.Popen(  # noqa: S603
            self._command, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        values = {}
        for line in self.process.stdout or ():
            name, _, value = line.rstrip("\n").partition(": ")
            values[name] = value
            if name == "url":
                break
        else:
            raise RuntimeError(
                f"The emulator ended with status {self.process.wait()} before it listened."
                " See its standard error for the reason."
            )
        self.url = values["url"]
        self.site_id = values["site_id"]
        self.api_key = values["api_key"]
        self.app_api_key = values["app_api_key"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the emulator."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    @property
    def auth(self) -> tuple[str, str]:
        """The user name and password of the Track API."""
        return self.site_id, self.api_key

    @property
    def app_headers(self) -> dict[str, str]:
        """The headers that authorize requests to the App API."""
        return {"Authorization": f"Bearer {self.app_api_key}"}
