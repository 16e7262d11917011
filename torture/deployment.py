"""A real Airflow with syncs, for scenarios that need its processes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from local.airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FACTORY = """\
from pathlib import Path
from airflow_provider_cio.dag_factory import build_dags
{prelude}
globals().update(build_dags(Path(__file__).parent / "syncs"))
"""
_ENVIRONMENT = {
    "AIRFLOW__CUSTOMERIO__APPLY_WAIT": "0",
    # Airflow detects a killed task by its missing heartbeats. With the defaults, this takes minutes.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


@contextmanager
def deployed(
    folder: Path,
    specs: Mapping[str, str],
    connections: Mapping[str, Mapping[str, object]],
    *,
    prelude: str = "",
) -> Iterator[LocalAirflow]:
    """Run an Airflow with these specs. All of their DAGs are un-paused.

    Args:
        folder: Folder for the files of Airflow.
        specs: DAG id to YAML.
        connections: As `LocalAirflow` takes them.
        prelude: Python that every process runs before it builds the DAGs.
    """
    syncs = folder / "dags" / "syncs"
    syncs.mkdir(parents=True)
    (folder / "dags" / "customerio_syncs.py").write_text(_FACTORY.format(prelude=prelude))
    for dag_id, spec in specs.items():
        (syncs / f"{dag_id}.yaml").write_text(spec)
    with LocalAirflow(
        folder / "airflow", dags_folder=folder / "dags", connections=connections, environment=_ENVIRONMENT
    ) as airflow:
        for dag_id in specs:
            airflow.client.wait_for_dag(dag_id)
            airflow.client.unpause(dag_id)
        yield airflow


def only_task(airflow: LocalAirflow, dag_id: str, run_id: str) -> dict[str, Any]:
    """Return the only task instance of a run."""
    (task,) = airflow.client.task_instances(dag_id, run_id)
    return task
