"""Airflow's REST API, as far as one needs it to run DAGs and to look at what became of them."""

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
    """A logged-in user of an Airflow.

    All methods raise LocalError if Airflow cannot be reached or refuses.

    Args:
        url: Base URL of the api-server.
        username: Who logs in, at the first request.
        password: Their password.
        check: Called while waiting; raises if waiting has become pointless.
    """

    def __init__(
        self, url: str, *, username: str, password: str, check: Callable[[], None] = lambda: None
    ) -> None:
        self.url = url
        self._credentials = {"username": username, "password": password}
        self._check = check
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy of the surroundings leads to this machine

    def is_healthy(self) -> bool:
        """Whether the api-server answers and sees a live scheduler and dag-processor."""
        try:
            response = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=_REQUEST_SECONDS)
        except requests.RequestException:
            return False
        health = response.json() if response.ok else {}
        return bool(health) and all(
            health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")
        )

    def request(self, method: str, path: str, body: object = None, **query: str | bool) -> Any:
        """One request to the API.

        Args:
            method: HTTP method.
            path: Path below `/api/v2`, quoted.
            body: What to send as JSON; None sends nothing.
            query: Parameters of the URL.

        Returns:
            The decoded JSON of the answer; None if there is none.

        Raises:
            LocalError: Airflow could not be reached, or its answer was not a success.
        """
        self._log_in()
        response = self._send(method, f"/api/v2{path}", body, query)
        return response.json() if response.content else None

    def text(self, url: str) -> str:
        """What is at a URL of this Airflow, such as that of a report."""
        self._log_in()
        return self._send("GET", url.removeprefix(self.url), None, {}).text

    def wait_for_dag(self, dag_id: str, *, seconds: float = 90) -> None:
        """Wait until Airflow has read the DAG from its file.

        Raises:
            LocalError: It has not in time; with the import errors, if there are any.
        """
        try:
            wait_until(
                lambda: self._has_dag(dag_id), what=f"DAG {dag_id}", seconds=seconds, check=self._check
            )
        except LocalError as error:
            raise LocalError(f"{error}\n{self._import_errors()}") from error

    def wait_for_pool(self, pool: str, *, slots: int = 1, seconds: float = 60) -> None:
        """Wait until the pool exists with this many slots."""
        wait_until(
            lambda: self._slots(pool) == slots, what=f"Pool {pool}", seconds=seconds, check=self._check
        )

    def unpause(self, dag_id: str) -> None:
        """Let the DAG run."""
        self.request("PATCH", _dag(dag_id), {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Keep the DAG from running."""
        self.request("PATCH", _dag(dag_id), {"is_paused": True})

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Start a run by hand.

        Args:
            dag_id: The DAG; it should not be paused, or the run waits until it is not.
            conf: Values of the DAG's params.

        Returns:
            The run's id.
        """
        run = self.request(
            "POST", f"{_dag(dag_id)}/dagRuns", {"logical_date": None, "conf": dict(conf or {})}
        )
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The DAG's runs as the API describes them, oldest first."""
        runs: list[dict[str, Any]] = self.request("GET", f"{_dag(dag_id)}/dagRuns", order_by="run_after")[
            "dag_runs"
        ]
        return runs

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run: queued, running, success or failed."""
        return str(self.request("GET", _run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, *, seconds: float = 120) -> str:
        """Wait until a run has ended.

        Returns:
            Its state: success or failed.

        Raises:
            LocalError: It has not ended in time; with the states of its tasks.
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
        """The tasks of a run as the API describes them."""
        tasks: list[dict[str, Any]] = self.request("GET", f"{_run(dag_id, run_id)}/taskInstances")[
            "task_instances"
        ]
        return tasks

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Say that a task has failed, which ends it."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}"
        self.request("PATCH", path, {"new_state": "failed"})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task has left under this key; None if nothing."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/xcomEntries"
        known = {entry["key"] for entry in self.request("GET", path)["xcom_entries"]}
        return self.request("GET", f"{path}/{quote(key, safe='')}")["value"] if key in known else None

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1) -> str:
        """The log of one attempt of a task: the messages, one a line, each with its other fields as JSON."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/logs/{attempt}"
        content = self.request("GET", path, full_content=True)["content"]
        return "\n".join(_log_line(message) for message in content)

    def task_log_tail(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The last lines of a task's log."""
        return "\n".join(self.task_log(dag_id, run_id, task_id).splitlines()[-_LOG_TAIL_LINES:])

    def variable(self, key: str) -> str | None:
        """Value of an Airflow Variable; None if there is none."""
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
                raise LocalError(f"Airflow at {self.url} does not answer: {error}") from error
            # SQLite takes one writer at a time: who has waited too long is told so, and nothing was done.
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
            return "Airflow reports no import errors: is the DAG's file in the DAGs folder?"
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
