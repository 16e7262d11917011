"""What a sync remembers from run to run, in Airflow Variables."""

from __future__ import annotations

import logging

from airflow.sdk import Variable

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.naming import LAST_SYNC_TIME, last_sync_time_key

log = logging.getLogger(__name__)


class LastSyncTime:
    """The last sync time of one sync; a person may edit its Variable.

    Args:
        workspace: The workspace's name.
        sync: The sync's name.
    """

    def __init__(self, workspace: str, sync: str) -> None:
        self._key = last_sync_time_key(workspace, sync)

    def read(self) -> int:
        """Return Unix seconds; 0 until a run has Completed.

        Raises:
            ConfigurationError: The Variable holds something else.
        """
        text = Variable.get(self._key, default="0")
        try:
            return int(text)
        except ValueError:
            raise ConfigurationError(
                f"The Variable {self._key} is {text!r}, not Unix seconds."
                " Set it to a whole number, or to 0 to send everything again."
            ) from None

    def store(self, seconds: int) -> None:
        """Remember Unix seconds for the next run."""
        Variable.set(self._key, str(seconds), description=LAST_SYNC_TIME)
        if self.read() != seconds:
            log.warning(
                "The Variable %s is set in the environment or a secrets backend too, and that value wins:"
                " every run reads the same changes again. Remove it there.",
                self._key,
            )
