"""The last sync time of the next run: from the clock of the source, and safe for transactions in flight.

A transaction stamps its rows with the time at which it *began*. A transaction that is in flight when a run
starts commits its rows later, with an earlier time. So the next run must look back to the start of the oldest
transaction. Where a start is hidden, the run subtracts a number of seconds that should be longer than such a
transaction. To send a row twice is harmless; to miss one is not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from airflow_provider_cio.engine.sources.watermark import DEFAULT_OVERLAP, Watermark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

log = logging.getLogger(__name__)

#: Classes of SQLSTATE for what a server does not have or does not allow.
_NOT_AVAILABLE = ("0A", "3F", "42")

# The clock of a replica is the time of the last transaction that it has replayed.
_CLOCK: LiteralString = """
SELECT pg_is_in_recovery(), extract(epoch FROM
    CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() ELSE clock_timestamp() END)
"""

# The sessions of this database that can write. The start of a transaction is hidden
# - if our role is neither the role of the session nor a member of pg_read_all_stats,
# - if the session has track_activities off, or had it off when the transaction began.
# An active session without xact_start is about to begin a transaction, with the time of its query. If it has
# a snapshot or waits for a lock, it is already in a transaction, and the start is hidden. If it is idle or
# starting, it began the transaction after its state was read, which is later than the clock.
# A walsender is active as long as another server replicates from here. It does not write.
_IN_FLIGHT: LiteralString = """
WITH sessions AS (
    SELECT coalesce(xact_start, CASE WHEN state = 'active' THEN query_start END) AS began,
        NOT pg_has_role('pg_read_all_stats', 'USAGE') AND NOT pg_has_role(usesysid, 'USAGE') AS not_allowed,
        state = 'disabled' OR xact_start IS NULL AND (
            state LIKE 'idle in transaction%' OR state = 'fastpath function call'
            OR coalesce(state, '') NOT IN ('idle', 'starting') AND (
                backend_xid IS NOT NULL OR backend_xmin IS NOT NULL OR wait_event_type = 'Lock')
            ) AS not_tracked
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
        AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'parallel worker', 'walsender')
)
SELECT extract(epoch FROM min(began)), count(*) FILTER (WHERE not_allowed),
    count(*) FILTER (WHERE not_tracked AND NOT not_allowed), format('%I', current_user)
FROM sessions
"""

# Read after the sessions, so that a transaction that is prepared between the two queries is seen by one.
_PREPARED: LiteralString = """
SELECT count(*), extract(epoch FROM min(prepared))
FROM pg_prepared_xacts WHERE database = current_database()
"""

_SUBSCRIPTIONS: LiteralString = """
SELECT count(*) FROM pg_subscription
WHERE subenabled AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def read_watermark(
    connection: psycopg.Connection[Any], *, overlap: int | None, max_lookback: int, stored: int
) -> Watermark:
    """Compute the watermark from the source's clock and its transactions in flight.

    Call this before the snapshot is taken: the next run then reads what is committed between the two.

    Args:
        connection: An autocommit connection.
        overlap: Seconds that are always subtracted. None to subtract `DEFAULT_OVERLAP`, and only where the
            start of a transaction is hidden.
        max_lookback: The largest number of seconds to go back for a transaction in flight.
        stored: The stored last sync time, in Unix seconds.

    Raises:
        psycopg.Error: The connection broke.
    """
    return _WatermarkReader(connection, overlap, max_lookback).read(stored)


class _WatermarkReader:
    """Reads one watermark. The order of its queries matters: clock, sessions, prepared transactions."""

    def __init__(self, connection: psycopg.Connection[Any], overlap: int | None, max_lookback: int) -> None:
        self._connection = connection
        self._overlap = overlap or 0
        self._overlap_if_hidden = DEFAULT_OVERLAP if overlap is None else overlap
        self._max_lookback = max_lookback
        self._warnings: list[str] = []

    def read(self, stored: int) -> Watermark:
        """Read the watermark."""
        is_replica, clock = self._fetch_one(_CLOCK) or (False, None)
        if clock is None:
            self._warn(
                "The clock of the source is unknown, as on a replica that has not replayed anything yet. The"
                " last sync time stays as it is, and the next run reads the same changes again. If this"
                " warning stays, check the replication, or read from the primary."
            )
            return Watermark(None, self._warnings)
        if is_replica:
            self._warn_about_primary("a replica")
            return Watermark(_floor(clock, self._overlap_if_hidden), self._warnings)
        start, is_hidden = self._oldest_start(clock)
        if (subscriptions := self._fetch_one(_SUBSCRIPTIONS)) and subscriptions[0]:
            self._warn_about_primary("a logical subscriber")
            is_hidden = True
        time = _floor(start, self._overlap_if_hidden if is_hidden else self._overlap)
        return Watermark(self._limit_by_prepared(time, clock, stored), self._warnings)

    def _oldest_start(self, clock: Decimal) -> tuple[Decimal, bool]:
        """Return the start of the oldest transaction in flight, and whether the start of any is hidden."""
        found = self._fetch_one(_IN_FLIGHT)
        if found is None:
            self._warn(
                "The sync's role cannot read pg_stat_activity, which shows the transactions in flight."
                f" {self._consequence()} Fix: GRANT SELECT ON pg_catalog.pg_stat_activity TO the role."
            )
            return clock, True
        oldest, not_allowed, not_tracked, role = found
        if not_allowed:
            self._warn(
                f"Sessions of other roles ({not_allowed}) hide when their transactions began."
                f" {self._consequence()} Fix: GRANT pg_read_all_stats TO {role}"
            )
        if not_tracked:
            self._warn(
                f"Sessions with track_activities off ({not_tracked}) hide when their transactions began."
                f" {self._consequence()} Fix, for the role of each: ALTER ROLE … SET track_activities = on"
            )
        # The clock was read first, so a transaction that began after that has a later time.
        start = min(clock, oldest if oldest is not None else clock)
        earliest = clock - self._max_lookback
        if start < earliest:
            self._warn(
                f"A transaction has been open in the source for {int(clock - start)} s, longer than"
                f" max_lookback ({self._max_lookback} s). Rows that it commits later can be missed. Find it"
                " in pg_stat_activity by xact_start and end it, or raise max_lookback."
            )
        return max(start, earliest), bool(not_allowed or not_tracked)

    def _limit_by_prepared(self, time: int, clock: Decimal, stored: int) -> int:
        """Return the time, or an earlier one while a transaction is prepared, because its start is hidden."""
        found = self._fetch_one(_PREPARED)
        if found is None:
            self._warn(
                "The sync's role cannot read pg_prepared_xacts, so rows of prepared transactions can be"
                " missed. Fix: GRANT SELECT ON pg_catalog.pg_prepared_xacts TO the role."
            )
            return min(time, _floor(clock, self._overlap_if_hidden))
        count, prepared = found
        if not count:
            return time
        self._warn(
            f"Prepared transactions ({count}) hide when they began, so the last sync time does not advance."
            " Find them in pg_prepared_xacts, and run COMMIT PREPARED or ROLLBACK PREPARED."
        )
        safe = stored or _floor(prepared, self._overlap_if_hidden)
        earliest = _floor(clock - self._max_lookback, self._overlap)
        if safe < earliest:
            self._warn(
                f"The prepared transactions are older than max_lookback ({self._max_lookback} s), so rows"
                " that they commit later can be missed."
            )
        return min(time, max(safe, earliest))

    def _consequence(self) -> str:
        return (
            f"The next last sync time is set back by overlap ({self._overlap_if_hidden} s), and rows of"
            " longer transactions can be missed."
        )

    def _warn_about_primary(self, kind: str) -> None:
        self._warn(
            f"The source is {kind}, which does not show the transactions of its primary."
            f" {self._consequence()} Set overlap to the replication lag plus the duration of the longest"
            " transaction on the primary."
        )

    def _fetch_one(self, statement: LiteralString) -> Sequence[Any] | None:
        """Return one row; None where the server does not have, or does not allow, what is read."""
        try:
            return self._connection.execute(statement).fetchone()
        except psycopg.Error as error:
            if (error.sqlstate or "").startswith(_NOT_AVAILABLE):
                return None
            raise

    def _warn(self, message: str) -> None:
        self._warnings.append(message)
        log.warning("%s", message)


def _floor(moment: Decimal, overlap: int) -> int:
    """Round a moment down to whole seconds, and subtract a second and the overlap.

    The second is for columns that hold whole seconds, and for queries that use > instead of >=.
    """
    return max(int(moment // 1) - 1 - overlap, 0)
