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
    AirflowTaskTimeout,
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
        AirflowTaskTimeout: The run exceeded its ``execution_timeout``.
    """
    try:
        yield
    except (ConfigurationError, AirflowNotFoundException) as error:
        _log_lines(error)
        raise AirflowFailException(failure_text(error)) from None
    except SyncError as error:
        _log_lines(error)
        raise AirflowException(failure_text(error)) from None
    except AirflowException:
        raise
    except AirflowTaskTimeout as error:  # Airflow's own text is only the id of the process
        raise AirflowTaskTimeout(failure_text(error)) from None
    except AirflowRuntimeError as error:
        raise AirflowException(failure_text(error)) from None
    except Exception as error:  # noqa: BLE001 - the text of an unknown error can quote rows
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("The error was raised here:\n%s", where)  # noqa: TRY400 - without the text of the error
        raise AirflowException(failure_text(error)) from None


def failure_text(error: BaseException) -> str:  # noqa: PLR0911 - a sentence for each kind of error
    """Return one line about why a run failed, which ends with what to do and has no values of rows.

    The first line of a text of several lines is its summary, and ends with a colon.
    """
    if isinstance(error, AirflowRuntimeError):
        return f"Airflow's API did not respond as expected ({error.error.error.value}). Run the task again."
    if isinstance(error, AirflowTaskTimeout):
        return "The run exceeded its execution_timeout. Increase the timeout, or make the queries faster."
    if isinstance(error, SyncError | AirflowException):
        text = str(error)
        summary, _, details = text.partition("\n")
        if details:
            return f"{summary.rstrip(':')}. The log lines above have the corrections."
        if text.endswith((".", "?", "!")) or not isinstance(error, SyncError | AirflowNotFoundException):
            return text
        return f"{text}." if isinstance(error, ConfigurationError) else f"{text}. Run the task again."
    if not isinstance(error, Exception):
        return f"Airflow ended the run ({type(error).__name__}). Run it again."
    return (
        f"An unexpected {type(error).__name__} ended the run; the log lines above show where."
        " If it happens again, report it with these lines."
    )


def _log_lines(error: Exception) -> None:
    """Log an error of several lines, of which the task shows the first."""
    if "\n" in (text := str(error)):
        log.error("%s", text)
