"""The last sync time of a sync, in an Airflow Variable."""

from __future__ import annotations

import logging
import re
import time

from airflow.sdk import Variable

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.state.airflow_api import check_airflow_answers
from airflow_provider_cio.state.names import LAST_SYNC_TIME_DESCRIPTION, last_sync_time_key

log = logging.getLogger(__name__)

#: Seconds by which the source's clock may be ahead of the worker's.
_AHEAD = 86_400
#: Unix seconds have ten digits until the year 2286; this many leave room to say that milliseconds are wrong.
_DIGITS = re.compile("-?[0-9]{1,18}", re.ASCII).fullmatch
#: As much of a wrong value as a message shows.
_SHOWN = 20


class LastSyncTime:
    """The last sync time of one sync; a person may edit its Variable.

    Args:
        workspace: The workspace's name.
        sync_name: The name of the sync.
    """

    def __init__(self, workspace: str, sync_name: str) -> None:
        self._key = last_sync_time_key(workspace, sync_name)

    def read(self) -> int:
        """Return Unix seconds; 0 until a run has Completed.

        Raises:
            ConfigurationError: The Variable holds something else.
            TransientError: Airflow did not answer.
        """
        value = Variable.get(self._key, default=None)
        if value is None:
            if self._key in check_airflow_answers(self._key):
                check_airflow_answers(failed=True)
            return 0
        text = str(value).strip()
        if not _DIGITS(text):
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
            raise self._wrong(f"{shown!r}, not Unix seconds")
        seconds = int(text)
        if seconds < 0:
            raise self._wrong(f"{seconds}, which is before 1970")
        if seconds > time.time() + _AHEAD:
            raise self._wrong(f"{seconds}, which is in the future: seconds are meant, not milliseconds")
        return seconds

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"The Variable {self._key} is {what}. Set it to Unix seconds, or to 0 to send everything again."
        )

    def store(self, seconds: int, *, before: int) -> None:
        """Remember Unix seconds for the next run, unless a person set others meanwhile.

        Args:
            seconds: The next last sync time.
            before: What the Variable was when the run began.
        """
        now = self.read()
        if now != before:
            log.warning("Somebody set the Variable %s to %d while the sync ran: that stays", self._key, now)
            return
        Variable.set(self._key, str(seconds), description=LAST_SYNC_TIME_DESCRIPTION)
        if self.read() != seconds:
            log.warning(
                "The Variable %s is set in the environment or a secrets backend too, and that value wins:"
                " every run reads the same changes again. Remove it there.",
                self._key,
            )
