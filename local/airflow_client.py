"""A client for the part of Airflow's REST API that runs DAGs and reads their results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from local.processes import LocalError, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_REQUEST_SECONDS = 30
_TRIES = 5
_FINAL_STATES = {"success", "failed"}
_LOG_TAIL_LINES = 25


class AirflowClient:
    """A client that is logged in as one user.

    All methods raise LocalError if Airflow cannot be reached or refuses the request.

    Args:
        url: Base URL of the api-server.
        username: Name of the user, who logs in at the first request.
        password: Password of the user.
        check: Called while waiting; raises when further waiting is pointless.
    """

    def __init__(
        self, url: str, *, username: str, password: str, check: Callable[[], None] = lambda: None
    ) -> None:
        self.url = url
        self._credentials = {"username": username, "password": password}
        self._check = check
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment cannot reach this machine

    def is_healthy(self) -> bool:
        """Return whether the api-server responds and reports a healthy scheduler and dag-processor."""
        try:
            response = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=_REQUEST_SECONDS)
        except requests.RequestException:
            return False
        health = response.json() if response.ok else {}
        return bool(health) and all(
            health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")
        )

    def request(self, method: str, path: str, body: object = None, **query: str | bool) -> Any:
        """Send a request to the API.

        Args:
            method: HTTP method.
            path: Path below `/api/v2`, quoted.
            body: The body, sent as JSON; None sends no body.
            query: Parameters of the URL.

        Returns:
            The decoded JSON of the response; None if the response is empty.

        Raises:
            LocalError: Airflow could not be reached, or the status was not a success.
        """
        self._log_in()
        response = self._send(method, f"/api/v2{path}", body, query)
        return response.json() if response.content else None

    def text(self, url: str) -> str:
        """Return the text at a URL of this Airflow, such as the URL of a report."""
        self._log_in()
        return self._send("GET", url.removeprefix(self.url), None, {}).text

    def wait_for_dag(self, dag_id: str, *, seconds: float = 90) -> None:
        """Wait until Airflow has read the DAG from its file.

        Raises:
            LocalError: The time is over. The message has the import errors.
        """
        try:
            wait_until(
                lambda: self._has_dag(dag_id), what=f"DAG {dag_id}", seconds=seconds, check=self._check
            )
        except LocalError as error:
            raise LocalError(f"{error}\n{self._import_errors()}") from error

    def wait_for_pool(self, pool: str, *, slots: int = 1, seconds: float = 60) -> None:
        """Wait until the pool exists with the given number of slots."""
        wait_until(
            lambda: self._slots(pool) == slots, what=f"Pool {pool}", seconds=seconds, check=self._check
        )

    def unpause(self, dag_id: str) -> None:
        """Un-pause the DAG."""
        self.request("PATCH", _dag(dag_id), {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Pause the DAG."""
        self.request("PATCH", _dag(dag_id), {"is_paused": True})

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Trigger a run.

        Args:
            dag_id: The DAG. The run of a paused DAG waits until the DAG is un-paused.
            conf: Values of the DAG's params.

        Returns:
            The run's id.
        """
        run = self.request(
            "POST", f"{_dag(dag_id)}/dagRuns", {"logical_date": None, "conf": dict(conf or {})}
        )
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the DAG's runs as the API describes them, oldest first."""
        runs: list[dict[str, Any]] = self.request("GET", f"{_dag(dag_id)}/dagRuns", order_by="run_after")[
            "dag_runs"
        ]
        return runs

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: queued, running, success or failed."""
        return str(self.request("GET", _run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, *, seconds: float = 120) -> str:
        """Wait until a run has ended.

        Returns:
            Its state: success or failed.

        Raises:
            LocalError: The time is over. The message has the states of the tasks.
        """

        def final_state() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in _FINAL_STATES else None

        try:
            return wait_until(final_state, what=f"The end of {dag_id}", seconds=seconds, check=self._check)
        except LocalError as error:
            states = {task["task_id"]: task["state"] for task in self.task_instances(dag_id, run_id)}
            raise LocalError(f"{error} States of the tasks of run {run_id}: {states}") from error

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run as the API describes them."""
        tasks: list[dict[str, Any]] = self.request("GET", f"{_run(dag_id, run_id)}/taskInstances")[
            "task_instances"
        ]
        return tasks

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Mark a task instance as failed, which ends its process."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}"
        self.request("PATCH", path, {"new_state": "failed"})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return the value that a task pushed under this key; None if there is none."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/xcomEntries"
        known = {entry["key"] for entry in self.request("GET", path)["xcom_entries"]}
        return self.request("GET", f"{path}/{quote(key, safe='')}")["value"] if key in known else None

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1) -> str:
        """Return the log of one try of a task: a message a line, followed by its other fields as JSON."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/logs/{attempt}"
        content = self.request("GET", path, full_content=True)["content"]
        return "\n".join(_log_line(message) for message in content)

    def task_log_tail(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the last lines of the log of a task's first try."""
        return "\n".join(self.task_log(dag_id, run_id, task_id).splitlines()[-_LOG_TAIL_LINES:])

    def variable(self, key: str) -> str | None:
        """Return the value of an Airflow Variable; None if the Variable does not exist."""
        found = self.request("GET", "/variables", variable_key_pattern=key)["variables"]
        return next((str(variable["value"]) for variable in found if variable["key"] == key), None)

    def set_variable(self, key: str, value: str) -> None:
        """Create or change an Airflow Variable."""
        entity = {"key": key, "value": value}
        create = {"action": "create", "entities": [entity], "action_on_existence": "overwrite"}
        self.request("PATCH", "/variables", {"actions": [create]})

    def _log_in(self) -> None:
        if "Authorization" not in self._session.headers:
            token = self._send("POST", "/auth/token", self._credentials, {}).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"

    def _send(
        self, method: str, path: str, body: object, query: Mapping[str, str | bool]
    ) -> requests.Response:
        for _ in range(_TRIES):
            try:
                response = self._session.request(
                    method, self.url + path, json=body, params=query, timeout=_REQUEST_SECONDS
                )
            except requests.RequestException as error:
                raise LocalError(f"Airflow at {self.url} does not respond: {error}") from error
            # SQLite has one writer at a time. A request that waited too long for it fails and has changed
            # nothing.
            if response.ok or "Database error" not in response.text:
                break
        if not response.ok:
            raise LocalError(
                f"Airflow refused {method} {path}: HTTP {response.status_code}, {response.text[:500]}"
            )
        return response

    def _has_dag(self, dag_id: str) -> bool:
        found = self.request("GET", "/dags", dag_id_pattern=dag_id, exclude_stale=True)["dags"]
        return any(dag["dag_id"] == dag_id for dag in found)

    def _slots(self, pool: str) -> int | None:
        found = self.request("GET", "/pools", pool_name_pattern=pool)["pools"]
        return next((entry["slots"] for entry in found if entry["name"] == pool), None)

    def _import_errors(self) -> str:
        errors = self.request("GET", "/importErrors")["import_errors"]
        if not errors:
            return "Airflow reports no import errors. Check that the DAG's file is in the DAGs folder."
        return "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in errors)


def _dag(dag_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}"


def _run(dag_id: str, run_id: str) -> str:
    return f"{_dag(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def _log_line(message: str | Mapping[str, object]) -> str:
    if isinstance(message, str):
        return message
    fields = {name: value for name, value in message.items() if name not in {"timestamp", "event"}}
    return f"{message.get('event')} {json.dumps(fields, default=str)}"
