"""Whether Airflow's API answers: a Variable that could not be read looks like one that does not exist."""

from __future__ import annotations

import logging

from airflow.sdk import Variable

from airflow_provider_cio.errors import TransientError

log = logging.getLogger(__name__)


def check_airflow_answers(prefix: str = "customerio.", *, failed: bool = False) -> list[str]:
    """Check that Airflow's API answers: a Variable that could not be read looks like one that does not exist.

    Args:
        prefix: Which Variables to list.
        failed: It has just failed to answer.

    Returns:
        The Variables with the prefix that Airflow's database has; none outside of a task.

    Raises:
        TransientError: It does not answer.
    """
    try:
        if not failed:
            return [*Variable.keys(prefix)]
    except (ImportError, AttributeError):  # outside of a task, or before Airflow 3.3
        return []
    except Exception as error:  # noqa: BLE001 - of the network, the API or the database
        log.warning("Airflow's API failed: %s", type(error).__name__)
    raise TransientError("Airflow's API did not answer when a Variable or connection was read. Try again.")
