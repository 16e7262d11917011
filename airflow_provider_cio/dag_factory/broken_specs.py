"""The DAG of a spec that cannot be used. It displays what is wrong, and fails when it is triggered."""

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

#: The tag of every DAG of the factory.
CUSTOMERIO_TAG = "customerio"
SPEC_ERROR_TAG = "spec-error"
_SPEC_ERROR_ID = "customerio_spec_error"
#: Airflow refuses longer ids.
_LONGEST_ID = 250


class _BrokenSpecOperator(BaseOperator):
    """Fails with the mistakes of a spec.

    Args:
        error: The message.
    """

    def __init__(self, *, error: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Context) -> None:  # noqa: ARG002 - part of Airflow's interface
        """Fail with the message."""
        raise AirflowFailException(self.error)


def broken_dag(name: str, error: str) -> DAG:
    """Build the DAG of a broken spec."""
    what_to_do = "**This spec cannot be used.** Correct it, and its DAG appears again."
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
    """Return the id of the DAG of a broken spec: from its names, its path, or a hash of its path.

    Args:
        names: The workspace and the name of the spec, if they can be read.
        path: The file of the spec, relative to the folder.
        taken: The ids of other DAGs.
    """
    by_file = re.sub(r"[^A-Za-z0-9_.-]", ".", str(path.with_suffix("")))
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    ids = [dag_id(*names)] if names else []
    ids += [f"{_SPEC_ERROR_ID}.{by_file}", f"{_SPEC_ERROR_ID}.{digest}"]
    return next(each for each in ids if len(each) <= _LONGEST_ID and each not in taken)
