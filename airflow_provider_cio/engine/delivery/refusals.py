"""When everything is refused, the rows are not to blame: a run stops before it tries them one by one."""

from __future__ import annotations

import re
import threading

from airflow_provider_cio.errors import ConfigurationError, RefusedError

#: Single operations that are refused with the same words, before any operation is accepted, that end a run.
FIRST_REFUSALS = 20
#: The same later in a run, without an accepted operation between them. Rows that share a mistake can follow
#: each other, but 1,000 of them take 10 seconds of requests, and a mistake in the query is then more likely.
LATER_REFUSALS = 1_000


class Refusals:
    """Notices that Customer.io, or something in front of it, refuses everything.

    A batch that is refused without a usable index is halved, down to single operations. Where the first of
    these are all refused in the same words and nothing has been accepted, it is not about the rows. Halving
    the rest would be thousands of requests, and every row would be blamed. Later in a run, rows that share a
    mistake may follow each other, so many more have to be refused without one being accepted.

    Shared by all lanes of a delivery.

    Args:
        limit: How many refusals are enough at the beginning.
        later_limit: How many in a row are enough afterwards.
    """

    def __init__(self, limit: float = FIRST_REFUSALS, later_limit: float = LATER_REFUSALS) -> None:
        self._limit = limit
        self._later_limit = later_limit
        self._words: tuple[str, str, str] | None = None
        self._count = 0
        self._error: ConfigurationError | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Stop sending.

        Raises:
            ConfigurationError: Everything was refused.
        """
        if self._error:
            raise self._error

    def accepted(self) -> None:
        """Count anew: the workspace takes operations."""
        with self._lock:
            self._limit = self._later_limit
            self._words, self._count = None, 0

    def refused(self, refusal: RefusedError) -> None:
        """Count a refusal that was about one operation, or one that leaves others to be sent again."""
        with self._lock:
            words = (refusal.field, refusal.reason, _without_numbers(refusal.message))
            if self._words not in (None, words):
                self._limit = self._later_limit
                self._count = 0
            self._words = words
            self._count += 1
            if self._count >= self._limit:
                self._error = ConfigurationError(
                    f"Customer.io, or a gateway in front of it, refused {self._count} rows in a row that were"
                    f" sent one by one, all in the same words ({_shown(refusal)}). They are in the report."
                    " Check the host of the connection, and what these rows have in common."
                )


def _without_numbers(sentence: str) -> str:
    """Leave out words with a digit: gateways add the number of a request to their sentences."""
    return " ".join(word for word in sentence.split() if not any(map(str.isdigit, word)))


def _shown(refusal: RefusedError) -> str:
    """Return what may be shown of a refusal: words, and no sentence, which could quote a value."""
    words = [word for word in (refusal.field, refusal.reason) if re.fullmatch(r"[\w.\[\]-]{1,80}", word)]
    return ": ".join(words) or "the report has them"
