"""The first rejections of a run in the task log. The report has all of them.

More people can read a log than a report, and a log is kept longer. So the log contains the index of the row,
and the field and reason of the rejection. Only the report contains Customer.io's message, which can quote
values of the row.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_cio.engine import Rejection

log = logging.getLogger(__name__)

#: The number of rejections in the log. More of them would hide the other lines.
_MAX_LINES = 20
#: The most characters of an identifier, a field or a reason. Customer.io's own limits are not higher.
_MAX_LENGTH = 150
#: The at sign of an email address, also URL-encoded and in full-width and small forms.
_find_at_sign = re.compile("@|%40|＠|﹫", re.IGNORECASE).search  # noqa: RUF001 - look-alikes are the point


class RejectionLog:
    """Writes rejections to the task log, without values of the row other than its identifier."""

    def __init__(self) -> None:
        self._rejection_count = 0

    def add(self, rejection: Rejection) -> None:
        """Log a rejection, if fewer than `_MAX_LINES` are logged."""
        self._rejection_count += 1
        if self._rejection_count <= _MAX_LINES:
            log.error(
                "%s row %d (%s): %s %s",
                rejection.query,
                rejection.row_index,
                _redact(rejection.identifier, "an email address") or "no identifier",
                _redact(rejection.field, "[field: see the report]"),
                _redact(rejection.reason, "[reason: see the report]"),
            )
        if self._rejection_count == _MAX_LINES:
            log.error("Further rejections are only in the report.")


def _redact(text: str, instead: str) -> str:
    """Return a text as one short line, or other words in place of a text that contains an email address."""
    if _find_at_sign(text):
        return instead
    line = text if text.isprintable() else text.encode("unicode_escape").decode()
    return line[:_MAX_LENGTH]
