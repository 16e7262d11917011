"""An emulator in a process of its own, for tests and the demo."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self


class EmulatorProcess:
    """Starts an emulator on a free port, and always stops it.

    Args:
        count_only: Count operations instead of storing them.
        faults: Offer ``/_faults``.
        database: An SQLite file that keeps the workspace.
        certfile: A PEM certificate chain; the emulator then speaks HTTPS.
        keyfile: The PEM key of the certificate.

    Attributes:
        url: Where it listens, such as ``http://127.0.0.1:34567``; the same for the Track API and the App API.
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
        """Start it, and return when it listens.

        Raises:
            RuntimeError: It ended instead; its standard error shows why.
        """
        # In a session of its own: an interrupt from the keyboard is for the parent, which stops it then.
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
            raise RuntimeError(f"the emulator ended with status {self.process.wait()} instead of listening")
        self.url = values["url"]
        self.site_id = values["site_id"]
        self.api_key = values["api_key"]
        self.app_api_key = values["app_api_key"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
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
        """User name and password of the Track API."""
        return self.site_id, self.api_key

    @property
    def app_headers(self) -> dict[str, str]:
        """The headers that open the App API."""
        return {"Authorization": f"Bearer {self.app_api_key}"}
