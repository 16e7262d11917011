"""Which actions a page offers to a user. Airflow's API checks each of them again when it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    AccessView,
    DagAccessEntity,
    DagDetails,
    VariableDetails,
)
from airflow.models import DagModel

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser


@dataclass(frozen=True)
class Permissions:
    """What a user may do with the DAG of a sync.

    Args:
        trigger: Start a run.
        pause: Pause and activate the schedule.
        reset: Change the Variable with the last sync time.
        queries: See the rendered queries of a run.
    """

    trigger: bool = False
    pause: bool = False
    reset: bool = False
    queries: bool = False


def permissions(user: BaseUser, dag_id: str, variable: str | None) -> Permissions:
    """Return what a user may do with a DAG and with the Variable of its last sync time."""
    manager = get_auth_manager()
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return Permissions(
        trigger=manager.is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user
        ),
        pause=manager.is_authorized_dag(method="PUT", details=details, user=user),
        reset=variable is not None
        and manager.is_authorized_variable(method="PUT", details=VariableDetails(key=variable), user=user),
        queries=manager.is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.TASK_INSTANCE, details=details, user=user
        ),
    )


def readable_dags(user: BaseUser) -> set[str]:
    """Return the ids of the DAGs that a user may read."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


def may_read_import_errors(user: BaseUser) -> bool:
    """Return whether a user may read import errors."""
    return get_auth_manager().is_authorized_view(access_view=AccessView.IMPORT_ERRORS, user=user)
