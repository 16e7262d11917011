"""A real Airflow on this machine: three components as processes, and metadata in SQLite."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from local.airflow_client import AirflowClient
from local.processes import LocalError, LocalProcess, free_port, log_tail, stop_all, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    import psutil

_COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}
_START_SECONDS = 120
_STOP_SECONDS = 3  # the scheduler waits for running tasks, which may never end
_CACHE = Path(__file__).parent.parent / ".cache"
_TASK_PROCESS = re.compile(r"airflow worker -- [0-9a-f-]{36}")


class LocalAirflow:
    """An Airflow that runs inside a `with` block, with its own metadata database.

    It listens on 127.0.0.1 only, and ignores `AIRFLOW_…` variables of the environment.

    Args:
        home: Its AIRFLOW_HOME: an empty folder, created if it does not exist. Database and logs stay there.
        dags_folder: Its DAGs folder.
        connections: Connection id to the fields of the connection, for `AIRFLOW_CONN_…` in JSON.
        environment: More environment variables for all components, such as `AIRFLOW__…` settings.

    Attributes:
        url: Base URL of the UI and of the API.
        username: Name of the administrator.
        password: Password of the administrator.
        client: A client of the API, logged in as the administrator.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path,
        connections: Mapping[str, Mapping[str, object]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.username = "admin"
        self.password = "admin"
        self.client = AirflowClient(
            self.url, username=self.username, password=self.password, check=self.check
        )
        self._environment = {
            **_environment_without_airflow(),
            **self._settings(dags_folder),
            **{
                f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields)
                for name, fields in (connections or {}).items()
            },
            **(environment or {}),
        }
        self._processes: dict[str, LocalProcess] = {}

    def __enter__(self) -> Self:
        """Create the metadata database, start the components and wait until all are healthy.

        Raises:
            LocalError: A component did not start. The message has the end of its log.
        """
        try:
            self._prepare_home()
            for component in _COMPONENTS:
                self.start(component)
            wait_until(
                self.client.is_healthy,
                what=f"The start of Airflow (logs: {self.home})",
                seconds=_START_SECONDS,
                check=self.check,
            )
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop all components and running tasks."""
        self._stop()

    def start(self, component: str) -> None:
        """Start a component: api-server, scheduler or dag-processor."""
        self._processes[component] = LocalProcess(
            f"Airflow's {component}",
            [sys.executable, "-m", "airflow", *_COMPONENTS[component]],
            log=self.log(component),
            environment=self._environment,
            folder=self.home,
        )

    def stop(self, component: str) -> None:
        """Stop a component and its descendants, tasks included."""
        stop_all([self._processes.pop(component)], seconds=_STOP_SECONDS)

    def check(self) -> None:
        """Check that all started components run.

        Raises:
            LocalError: A component has ended. The message has the end of its log.
        """
        for process in self._processes.values():
            process.check()

    def log(self, component: str) -> Path:
        """Return the log file of a component."""
        return self.home / f"{component}.log"

    def task_processes(self) -> list[psutil.Process]:
        """Return the processes that execute a task's code at this moment, one for each task."""
        members = self._processes["scheduler"].members()
        return [process for process in members if _TASK_PROCESS.search(" ".join(process.cmdline()))]

    def _stop(self) -> None:
        stop_all(self._processes.values(), seconds=_STOP_SECONDS)

    def _settings(self, dags_folder: Path) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{self.username}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        }

    @property
    def database(self) -> Path:
        """The SQLite file of the metadata database."""
        return self.home / "airflow.db"

    def _prepare_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "airflow.cfg").touch()  # otherwise each component writes a file with all defaults
        passwords = {self.username: self.password}
        (self.home / "passwords.json").write_text(json.dumps(passwords))
        template = _CACHE / f"airflow-{version('apache-airflow-core')}.db"
        if not template.exists():
            self._create_database()
            _store_template(self.database, template)
        else:
            shutil.copyfile(template, self.database)

    def _create_database(self) -> None:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        log = self.log("migrate")
        with log.open("ab") as output:
            done = subprocess.run(command, env=self._environment, stdout=output, stderr=output, check=False)
        if done.returncode != 0:
            raise LocalError(f"Airflow could not create its database {self.database}.\n{log_tail(log)}")


def _environment_without_airflow() -> dict[str, str]:
    """Return this process's environment without the variables that configure Airflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}


def _store_template(database: Path, template: Path) -> None:
    """Store a copy of an empty database for the next start: creating the database is the slowest step."""
    template.parent.mkdir(exist_ok=True)
    unfinished = template.with_suffix(f".{secrets.token_hex(4)}")
    shutil.copyfile(database, unfinished)
    unfinished.replace(template)
