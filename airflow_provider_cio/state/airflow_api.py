"""Check that Airflow's API can be reached.

When the API fails while a task reads a Variable, Airflow treats the Variable as one that does not exist. A
sync would then start at 0. So a sync lists the Variables, a request whose failure Airflow does not hide,
before it believes that one does not exist.
"""

from __future__ import annotations

import logging

from airflow.sdk import Variable

from airflow_provider_cio.errors import TransientError

log = logging.getLogger(__name__)


def variable_names(prefix: str = "customerio.") -> list[str]:
    """Return the names of the Variables in Airflow's database. The list is empty outside of a task.

    Args:
        prefix: The prefix of the names.

    Raises:
        TransientError: Airflow's API cannot be reached.
    """
    try:
        return [*Variable.keys(prefix)]
    except (ImportError, AttributeError):  # outside of a task, or before Airflow 3.3
        return []
    except Exception as error:  # noqa: BLE001 - of the network, the API or the database
        log.warning("Airflow's API failed: %s", type(error).__name__)
    raise airflow_api_error()


def airflow_api_error() -> TransientError:
    """Return the error of a run that could not read a Variable or a connection."""
    return TransientError(
        "Airflow's API did not respond to a request for a Variable or connection. Try again."
    )
