"""The Python side of blueprint: a template for the task, and a template for the arguments of the DAG."""

from typing import Any, Literal

from blueprint import Blueprint, BlueprintDagArgs  # type: ignore[import-not-found]
from pydantic import BaseModel

from airflow_provider_cio.operators.sync import CustomerIOSyncOperator


class SyncConfig(BaseModel):
    """The keys of a step."""

    workspace: str
    sync_name: str
    postgres_conn_id: str
    identify_by: Literal["id", "email"]
    people_query: str
    retries: int
    owner: str


class Sync(Blueprint[SyncConfig]):  # type: ignore[misc]
    """The template for the task."""

    def render(self, config: SyncConfig) -> CustomerIOSyncOperator:
        """Return the task."""
        return CustomerIOSyncOperator(task_id=self.step_id, **config.model_dump())


class ArgumentsConfig(BaseModel):
    """The keys of a DAG."""

    description: str
    schedule: str
    start_date: str
    tags: list[str]
    doc_md: str


class Arguments(BlueprintDagArgs[ArgumentsConfig]):  # type: ignore[misc]
    """The template for the arguments of the DAG."""

    def render(self, config: ArgumentsConfig) -> dict[str, Any]:
        """Return the arguments."""
        return {**config.model_dump(), "max_active_runs": 1}
