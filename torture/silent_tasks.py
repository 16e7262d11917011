"""A network that falls silent before Postgres or before the API, with real Airflow tasks.

With an ``execution_timeout``, a run ends within 15 s after the timeout, whenever the silence begins. Without
a timeout, a run ends after five minutes of silence, which are set to seconds here. Afterwards its process has
ended, and the next run completes.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from local.postgres import LocalPostgres
from local.processes import wait_until
from torture.deployment import deployed, only_task
from torture.proxy import Proxy
from torture.scenario import expect
from torture.workspace import FaultyWorkspace

if TYPE_CHECKING:
    from local.airflow import LocalAirflow
    from torture.scenario import Trial

_LIMITED, _PATIENT = "customerio.production.limited", "customerio.production.patient"
_TIMEOUT = 10
#: The promised seconds from the timeout to the end of the run.
_ALLOWED = 15
#: Seconds of silence after which a run checks the server here, and seconds of that check.
_SILENCE, _CHECK = 10, 5
_PRELUDE = f"""\
from airflow_provider_cio.engine.sources.postgres import session
session.SILENCE_SECONDS, session.BACKEND_CHECK_SECONDS = {_SILENCE}, {_CHECK}
"""
_SPEC = """\
name: {name}
workspace: production
postgres_conn_id: warehouse
retries: 0
{timeout}
people:
  query: SELECT 'h' || n AS id, repeat(n::text || ' ', 150) AS text FROM generate_series(1, 30000) n
"""
_RUN_SECONDS = 120


@dataclass(frozen=True)
class _Hole:
    """Where and when the network falls silent.

    Args:
        before: The server behind the silent network.
        moment: The step of the run at that moment.
        count: Number of bytes that are forwarded before.
        dag_id: The DAG of the sync.
    """

    before: Literal["Postgres", "API"]
    moment: str
    count: int
    dag_id: str = _LIMITED

    def __str__(self) -> str:
        """Return the name in the figures."""
        return f"{self.before} {self.moment}" + ("" if self.dag_id == _LIMITED else " without a timeout")


def run(trial: Trial) -> str:
    """Run a sync for each hole."""
    chance = random.Random(trial.seed)
    middle = chance.randint(500_000, 10_000_000)
    holes = [
        _Hole("Postgres", "in mid-fetch", middle),
        _Hole("API", "in mid-upload", chance.randint(100_000, 10_000_000)),
    ]
    if not trial.short:
        holes += [
            _Hole("Postgres", "at connect", 0),
            _Hole("Postgres", "at authentication", chance.randint(50, 250)),
            _Hole("Postgres", "before the first rows", chance.randint(2_000, 6_000)),
            _Hole("Postgres", "near the end", chance.randint(15_000_000, 20_000_000)),
            _Hole("API", "at the first request", 0),
            _Hole("API", "at the first response", 500_100),
            _Hole("Postgres", "at connect", 0, _PATIENT),
            _Hole("Postgres", "in mid-fetch", middle, _PATIENT),
        ]
    specs = {
        _LIMITED: _SPEC.format(name="limited", timeout=f"execution_timeout: {_TIMEOUT} seconds"),
        _PATIENT: _SPEC.format(name="patient", timeout=""),
    }
    with (
        LocalPostgres(trial.folder) as postgres,
        FaultyWorkspace() as workspace,
        Proxy(postgres.port) as to_postgres,
        Proxy(int(workspace.url.rpartition(":")[2])) as to_api,
    ):
        connections = {
            "warehouse": {**postgres.airflow_connection(), "port": to_postgres.port},
            "customerio_production": {
                **workspace.airflow_connection(),
                "host": f"http://127.0.0.1:{to_api.port}",
            },
        }
        with deployed(trial.folder, specs, connections, prelude=_PRELUDE) as airflow:
            proxies = {"Postgres": to_postgres, "API": to_api}
            late = {str(hole): _run_into(hole, proxies[hole.before], airflow) for hole in holes}
    figures = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in late.items())
    return f"seconds from the timeout, or from {_SILENCE} s of silence, to the end: {figures}"


def _run_into(hole: _Hole, proxy: Proxy, airflow: LocalAirflow) -> float:
    """Run a sync into a hole. Returns the seconds by which the run ended too late."""
    proxy.stall_after(hole.count)
    run_id = airflow.client.trigger(hole.dag_id)
    state = airflow.client.wait_for_run(hole.dag_id, run_id, seconds=_RUN_SECONDS)
    wait_until(
        lambda: not airflow.task_processes(), what=f"The end of the process ({hole})", seconds=_ALLOWED
    )
    task = only_task(airflow, hole.dag_id, run_id)
    expect(
        state == "failed" and proxy.stalled_at,
        f"{hole}: the run ended as {state}, and the network stalled at {proxy.stalled_at}",
    )
    end = dt.datetime.fromisoformat(task["end_date"]).timestamp()
    if hole.dag_id == _LIMITED:
        late = end - dt.datetime.fromisoformat(task["start_date"]).timestamp() - _TIMEOUT
    else:
        late = end - (proxy.stalled_at or 0) - _SILENCE
    expect(late <= _ALLOWED, f"{hole}: the run ended {late:.0f} s late")
    proxy.heal()
    run_id = airflow.client.trigger(hole.dag_id)
    state = airflow.client.wait_for_run(hole.dag_id, run_id, seconds=_RUN_SECONDS)
    expect(state == "success", f"{hole}: the next run ended as {state}")
    return late
