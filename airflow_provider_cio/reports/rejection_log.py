"""Rejections in the task log: the first few rows, all of them counted by the summary.

A log is read by more people than a report, and kept longer. So it says where a row is and what is wrong with
it; the sentence of Customer.io, which can quote values of the row, is in the report only.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_cio.engine import Rejection

log = logging.getLogger(__name__)

#: More would bury what else a log says.
_LIMIT = 20
#: Longer than any identifier that Customer.io takes, and than any name of a field.
_LONGEST = 150
#: What makes a text an e-mail address, also in a URL's spelling and in full-width characters.
_AT = re.compile("@|%40|＠|﹫", re.IGNORECASE).search  # noqa: RUF001 - look-alikes are the point


class RejectionLog:
    """Writes rejected rows to a log: where, who, what is wrong, and no other value of the row."""

    def __init__(self) -> None:
        self._written = 0

    def add(self, rejection: Rejection) -> None:
        """Write a rejection, as long as there are few."""
        self._written += 1
        if self._written <= _LIMIT:
            log.error(
                "%s row %d (%s): %s %s",
                rejection.query,
                rejection.row_index,
                _shown(rejection.identifier, "an e-mail address") or "no identifier",
                _shown(rejection.field, "a field that the report names"),
                _shown(rejection.reason, "for a reason that the report names"),
            )
        if self._written == _LIMIT:
            log.error("Further rejected rows are in the report only")


def _shown(text: str, instead: str) -> str:
    """Return a text as one short line, or words instead of it when it holds an e-mail address."""
    if _AT(text):
        return instead
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    return shown[:_LONGEST]
