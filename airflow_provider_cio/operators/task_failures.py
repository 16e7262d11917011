"""How an error ends a task: Airflow tries it again or not, and its last log line says what to do."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRuntimeError,
)

from airflow_provider_cio.errors import ConfigurationError, SyncError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


@contextmanager
def as_task_failure() -> Iterator[None]:
    """Turn every error into one of Airflow's, with a short text and without the values of rows.

    Raises:
        AirflowFailException: A person has to change something, so Airflow does not try again.
        AirflowException: The task may succeed when Airflow tries again.
    """
    try:
        yield
    except (ConfigurationError, AirflowNotFoundException) as error:
        raise AirflowFailException(str(error)) from None
    except SyncError as error:
        raise AirflowException(str(error)) from None
    except AirflowException:
        raise
    except AirflowRuntimeError as error:
        raise AirflowException(
            f"Airflow's API did not answer as expected ({error.error.error.value}). Run the task again."
        ) from None
    except Exception as error:  # noqa: BLE001 - the text of an unknown error can quote rows
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("Where the error was raised:\n%s", where)  # noqa: TRY400 - without the text of the error
        raise AirflowException(
            f"An unexpected {type(error).__name__} ended the run; the log lines above show where."
            " If it happens again, report it with these lines."
        ) from None
