"""How long to wait before a request is repeated."""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import random

from airflow_provider_cio.track.bounds import BACKOFF_GROWTH, FIRST_BACKOFF, MAX_BACKOFF, MAX_RETRY_AFTER

#: The largest exponent of `BACKOFF_GROWTH`. The pause has reached `MAX_BACKOFF` long before, and an
#: unbounded power would overflow.
_MAX_EXPONENT = 20


def backoff_seconds(failures: int, retry_after: float | None = None) -> float:
    """Return the seconds to wait before the next attempt.

    The pause grows with each failure and has jitter, so that clients that failed together do not return
    together. A `retry_after` can make the pause longer, up to `MAX_RETRY_AFTER`, and never shorter.

    Args:
        failures: The number of consecutive failures, from 1.
        retry_after: The seconds that the server requested.
    """
    longest = min(FIRST_BACKOFF * BACKOFF_GROWTH ** min(failures - 1, _MAX_EXPONENT), MAX_BACKOFF)
    jittered = longest * random.uniform(0.5, 1)  # noqa: S311 - jitter is not a secret
    return max(jittered, min(retry_after or 0.0, MAX_RETRY_AFTER))


def parse_retry_after(text: str) -> float | None:
    """Parse a ``Retry-After`` header, which holds seconds or a date.

    Returns:
        The seconds from now, at least 0; None for any other text.
    """
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(text)
            if date.tzinfo is None:
                date = date.replace(tzinfo=dt.UTC)
            seconds = (date - dt.datetime.now(dt.UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return None if math.isnan(seconds) else max(seconds, 0.0)
