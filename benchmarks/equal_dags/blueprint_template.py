"""What blueprint has in Python: a template of the task, and one of the DAG's arguments."""

from typing import Any, Literal

from blueprint import Blueprint, BlueprintDagArgs  # type: ignore[import-not-found]
from pydantic import BaseModel

from airflow_provider_cio.operators.sync import CustomerIOSyncOperator


class SyncConfig(BaseModel):
    """The keys of a step."""

    workspace: str
    sync: str
    postgres_conn_id: str
    identify_by: Literal["id", "email"]
    people_query: str
    retries: int
    owner: str


class Sync(Blueprint[SyncConfig]):  # type: ignore[misc]
    """The task."""

    def render(self, config: SyncConfig) -> CustomerIOSyncOperator:
        """Make the task."""
        return CustomerIOSyncOperator(task_id=self.step_id, **config.model_dump())


class ArgumentsConfig(BaseModel):
    """The keys of a DAG."""

    description: str
    schedule: str
    start_date: str
    tags: list[str]
    doc_md: str


class Arguments(BlueprintDagArgs[ArgumentsConfig]):  # type: ignore[misc]
    """The DAG's arguments."""

    def render(self, config: ArgumentsConfig) -> dict[str, Any]:
        """Give the arguments."""
        return {**config.model_dump(), "max_active_runs": 1}
