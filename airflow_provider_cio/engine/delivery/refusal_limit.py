"""End a run when Customer.io refuses everything: the rows are not the reason then."""

from __future__ import annotations

import re
import threading

from airflow_provider_cio.errors import ConfigurationError, RefusedError

#: Single operations that are refused with the same error, before any operation is accepted, that end a run.
FIRST_REFUSALS = 20
#: The same later in a run, without an accepted operation between them. Rows that share a mistake can follow
#: each other, but 1,000 of them take 10 seconds of requests, and a mistake in the query is then more likely.
LATER_REFUSALS = 1_000


class RefusalLimit:
    """Counts refusals with the same error, and ends the run at a limit. All lanes share it.

    A batch that is refused as a whole is halved, down to single operations. A gateway that refuses every
    request would cause thousands of requests in this way, and every row would be reported.

    Args:
        first_limit: The number of refusals that end a run in which no operation was accepted and all
            refusals have the same error.
        later_limit: The number of consecutive refusals with the same error that end any other run.
    """

    def __init__(self, first_limit: float = FIRST_REFUSALS, later_limit: float = LATER_REFUSALS) -> None:
        self._limit = first_limit
        self._later_limit = later_limit
        self._refusal: tuple[str, str, str] | None = None
        self._consecutive = 0
        self._error: ConfigurationError | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Do nothing below the limit.

        Raises:
            ConfigurationError: The limit is reached.
        """
        if self._error:
            raise self._error

    def count_accepted(self) -> None:
        """Reset the count, because the workspace accepts operations."""
        with self._lock:
            self._limit = self._later_limit
            self._refusal, self._consecutive = None, 0

    def count_refused(self, refusal: RefusedError) -> None:
        """Count a refusal of a single operation, or one after which the other operations are sent again."""
        with self._lock:
            key = (refusal.field, refusal.reason, _without_numbers(refusal.message))
            if self._refusal not in (None, key):
                self._limit = self._later_limit
                self._consecutive = 0
            self._refusal = key
            self._consecutive += 1
            if self._consecutive >= self._limit:
                self._error = ConfigurationError(
                    f"Customer.io, or a gateway in front of it, refused {self._consecutive} rows in a row"
                    f" with the same error{_safe_summary(refusal)}. Check the host of the connection, and the"
                    " rows in the report."
                )


def _without_numbers(message: str) -> str:
    """Remove words that contain a digit: gateways add the number of the request to their messages."""
    return " ".join(word for word in message.split() if not any(map(str.isdigit, word)))


def _safe_summary(refusal: RefusedError) -> str:
    """Return the field and the reason in parentheses. The message can quote values, so it is left out."""
    words = [word for word in (refusal.field, refusal.reason) if re.fullmatch(r"[\w.\[\]-]{1,80}", word)]
    return f" ({': '.join(words)})" if words else ""
