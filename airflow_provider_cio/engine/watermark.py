"""The last sync time for the next run: from the source's clock, and safe against transactions in flight.

A transaction stamps its rows with the time of its *start*. One that is in flight while we look commits its
rows later, with a time from before; so the next run must look back to the start of the oldest.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

#: Seconds subtracted where starts of transactions are hidden: most transactions of applications are shorter.
DEFAULT_OVERLAP = 60
#: Seconds by which one forgotten transaction may hold the last sync time back; beyond it, every run would
#: send hours of changes again.
DEFAULT_MAX_LOOKBACK = 3600

# A replica's clock is the time of what it has replayed last.
_CLOCK = """
SELECT pg_is_in_recovery(), extract(epoch FROM
    CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() ELSE clock_timestamp() END)
"""

# A session's start of transaction is shown to its own role and to members of pg_read_all_stats only.
_IN_FLIGHT = """
SELECT extract(epoch FROM min(xact_start)), count(*) FILTER (
    WHERE NOT pg_has_role('pg_read_all_stats', 'USAGE') AND NOT pg_has_role(usesysid, 'USAGE'))
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
  AND coalesce(backend_type, 'client backend') = 'client backend'
"""


def read_watermark(connection: psycopg.Connection[Any], overlap: int, max_lookback: int) -> int | None:
    """Look at the source's clock and at its transactions in flight. Call it before the snapshot is taken.

    Args:
        connection: An autocommit connection.
        overlap: Seconds to go back where transactions in flight cannot be seen.
        max_lookback: Seconds to go back at most for a transaction in flight.

    Returns:
        Unix seconds; None on a replica that has replayed nothing since it started.
    """
    replica, clock = connection.execute(_CLOCK).fetchone() or (False, None)
    if clock is None:
        log.warning("This replica has replayed nothing yet; the last sync time stays where it is")
        return None
    if replica:
        return int(clock) - overlap - 1
    # The clock is read first: whoever starts after that carries a later time.
    oldest, hidden = connection.execute(_IN_FLIGHT).fetchone() or (None, 0)
    start = min(clock, oldest if oldest is not None else clock)
    if start < clock - max_lookback:
        log.warning(
            "A transaction has been open on the source for %d s, longer than max_lookback (%d s): rows that"
            " it stamped and commits later will be missed. pg_stat_activity shows it.",
            clock - start,
            max_lookback,
        )
        start = clock - max_lookback
    if hidden:
        start = min(start, clock - overlap)
        log.warning(
            "%d sessions of other roles hide when their transactions began; the next last sync time is put"
            " back by overlap (%d s). For the exact time, GRANT pg_read_all_stats to the sync's role.",
            hidden,
            overlap,
        )
    # Columns may hold whole seconds, and people write > as often as >=.
    return int(start // 1) - 1
