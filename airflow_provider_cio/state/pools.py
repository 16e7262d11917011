"""Pools of one slot: what makes syncs of a workspace run one at a time.

A task whose pool is missing waits for ever without a word, so every workspace with a sync gets its pool.
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
    """Create the pools that syncs known to Airflow need and that are not there.

    Returns:
        The names of the pools that were created.
    """
    with create_session() as session:
        needed = _needed_by_dags(session) | _waited_for_by_tasks(session)
    return create_pools(needed)


def create_pools(names: Iterable[str]) -> list[str]:
    """Create those of the pools that are not there; a pool that somebody changed is left alone.

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
                        description="One sync of this Customer.io workspace at a time",
                        include_deferred=True,
                    )
                )
        except IntegrityError:  # another API server was quicker
            continue
        created.append(name)
    return created


def _needed_by_dags(session: Session) -> set[str]:
    """Name the pools of the factory's DAGs, from their ids."""
    ids = session.scalars(
        select(DagModel.dag_id).where(DagModel.dag_id.like(f"{_PREFIX}%.%"), ~DagModel.is_stale)
    )
    return {pool_name(dag_id.split(".")[1]) for dag_id in ids}


def _waited_for_by_tasks(session: Session) -> set[str]:
    """Name the pools that scheduled tasks wait for; these may be tasks of hand-written DAGs."""
    waiting = select(TaskInstance.pool).where(
        TaskInstance.state == TaskInstanceState.SCHEDULED, TaskInstance.pool.like(f"{_PREFIX}%")
    )
    return set(session.scalars(waiting.distinct()))
