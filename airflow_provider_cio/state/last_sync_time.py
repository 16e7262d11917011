"""The last sync time of a sync, in an Airflow Variable that people can edit."""

from __future__ import annotations

import logging
import re
import time

from airflow.sdk import Variable

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.state.airflow_api import airflow_api_error, variable_names
from airflow_provider_cio.state.names import LAST_SYNC_TIME_DESCRIPTION, last_sync_time_key

log = logging.getLogger(__name__)

#: The seconds by which the clock of the source may be ahead of the clock of the worker: one day.
_MAX_AHEAD_SECONDS = 86_400
#: Unix seconds have ten digits until the year 2286. Up to 18 digits are parsed, so that milliseconds and
#: microseconds get a message of their own.
_matches_integer = re.compile("-?[0-9]{1,18}", re.ASCII).fullmatch
#: The number of characters of a wrong value that a message contains: enough for a date and time.
_MAX_QUOTED = 20


class LastSyncTime:
    """The last sync time of one sync.

    Args:
        workspace: The name of the workspace.
        sync_name: The name of the sync.
    """

    def __init__(self, workspace: str, sync_name: str) -> None:
        self._key = last_sync_time_key(workspace, sync_name)

    def read(self) -> int:
        """Return the last sync time in Unix seconds. It is 0 until a run has Completed.

        Raises:
            ConfigurationError: The Variable does not hold Unix seconds.
            TransientError: Airflow's API cannot be reached.
        """
        value = Variable.get(self._key, default=None)
        if value is None:
            if self._key in variable_names(self._key):  # it exists, so reading it has failed
                raise airflow_api_error()
            return 0
        text = str(value).strip()
        if not _matches_integer(text):
            quoted = text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"
            raise self._not_valid(repr(quoted), "which is not a number of Unix seconds")
        seconds = int(text)
        if seconds < 0:
            raise self._not_valid(text, "which is before 1970")
        if seconds > time.time() + _MAX_AHEAD_SECONDS:
            raise self._not_valid(text, "which is in the future (is it in milliseconds?)")
        return seconds

    def _not_valid(self, value: str, problem: str) -> ConfigurationError:
        return ConfigurationError(
            f"The Variable {self._key} is {value}, {problem}. Set it to Unix seconds, or to 0 to send"
            " everything again."
        )

    def store(self, seconds: int, *, before: int) -> None:
        """Store the last sync time of the next run, unless the Variable has changed since the run began.

        Args:
            seconds: The next last sync time in Unix seconds.
            before: The last sync time that the run read when it began.
        """
        current = self.read()
        if current != before:
            log.warning(
                "The Variable %s was changed to %d during the run. The run keeps that value.",
                self._key,
                current,
            )
            return
        Variable.set(self._key, str(seconds), description=LAST_SYNC_TIME_DESCRIPTION)
        if self.read() != seconds:
            log.warning(
                "The Variable %s is also set in the environment or in a secrets backend. That value takes"
                " precedence, so every run reads the same changes again. Remove the Variable there.",
                self._key,
            )
