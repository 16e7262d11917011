"""The pools of one slot that let one sync of a workspace run at a time.

A task whose pool does not exist waits forever, and no log names the reason. So a pool is created for every
workspace that has a sync.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.models import DagModel, Pool, TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from airflow_provider_cio.state.names import pool_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

_PREFIX = pool_name("")


def create_missing_pools() -> list[str]:
    """Create the missing pools of all syncs in Airflow's database.

    Returns:
        The names of the pools that were created.
    """
    with create_session() as session:
        names = _pools_of_dags(session) | _pools_of_waiting_tasks(session)
    return create_pools(names)


def create_pools(names: Iterable[str]) -> list[str]:
    """Create the pools that do not exist. A pool that exists keeps its slots and its description.

    Args:
        names: The names of the pools.

    Returns:
        The names of the pools that were created.
    """
    created = []
    for name in sorted(names):
        try:
            with create_session() as session:
                if session.scalar(select(Pool).where(Pool.pool == name)):
                    continue
                session.add(
                    Pool(
                        pool=name,
                        slots=1,
                        description="Lets one sync of this Customer.io workspace run at a time.",
                        include_deferred=True,
                    )
                )
        except IntegrityError:  # another API server has created the pool in the meantime
            continue
        created.append(name)
    return created


def _pools_of_dags(session: Session) -> set[str]:
    """Return the names of the pools of all DAGs that the factory builds, which follow from the DAG ids."""
    ids = session.scalars(
        select(DagModel.dag_id).where(DagModel.dag_id.like(f"{_PREFIX}%.%"), ~DagModel.is_stale)
    )
    return {pool_name(dag_id.split(".")[1]) for dag_id in ids}


def _pools_of_waiting_tasks(session: Session) -> set[str]:
    """Return the names of the pools that scheduled tasks wait for, which covers DAGs without a spec."""
    waiting = select(TaskInstance.pool).where(
        TaskInstance.state == TaskInstanceState.SCHEDULED, TaskInstance.pool.like(f"{_PREFIX}%")
    )
    return set(session.scalars(waiting.distinct()))
