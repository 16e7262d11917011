"""The DAG of a spec that cannot be used: it shows what is wrong, and fails when it is triggered."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_cio.dag_factory.docs import fenced
from airflow_provider_cio.state.names import dag_id

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from airflow.sdk import Context

#: Every DAG of the factory has it.
CUSTOMERIO_TAG = "customerio"
SPEC_ERROR_TAG = "spec-error"
_SPEC_ERROR_ID = "customerio_spec_error"
#: Airflow refuses longer ids.
_LONGEST_ID = 250


class _BrokenSpecOperator(BaseOperator):
    """Fails with what is wrong with a spec.

    Args:
        error: The message.
    """

    def __init__(self, *, error: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow passes it
        """Fail."""
        raise AirflowFailException(self.error)


def broken_dag(name: str, error: str) -> DAG:
    """Build a DAG that keeps a broken spec in sight."""
    what_to_do = "**This spec cannot be used.** Correct it, and its DAG comes back."
    dag = DAG(
        name,
        schedule=None,
        tags={CUSTOMERIO_TAG, SPEC_ERROR_TAG},
        description="This spec cannot be used",
        doc_md=f"{what_to_do}\n\n{fenced('text', error)}",
    )
    _BrokenSpecOperator(task_id="sync", dag=dag, error=error)
    return dag


def broken_dag_id(names: tuple[str, str] | None, path: Path, taken: Container[str]) -> str:
    """Name the DAG of a broken spec: as it says itself, else by its file, else by a hash of that."""
    by_file = re.sub(r"[^A-Za-z0-9_.-]", ".", str(path.with_suffix("")))
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    ids = [dag_id(*names)] if names else []
    ids += [f"{_SPEC_ERROR_ID}.{by_file}", f"{_SPEC_ERROR_ID}.{digest}"]
    return next(each for each in ids if len(each) <= _LONGEST_ID and each not in taken)
