"""The last sync time for the next run: from the source's clock, and safe against transactions in flight.

A transaction stamps its rows with the time of its *start*. One that is in flight while we look commits its
rows later, with a time from before; so the next run must look back to the start of the oldest. Where a start
cannot be seen, a time is subtracted that should be longer than such a transaction takes. Sending a row twice
is harmless, missing one is not.
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

#: Classes of SQLSTATE by which a server says that it does not have, or does not allow, what is asked for.
_NOT_AVAILABLE = ("0A", "3F", "42")

# A replica's clock is the time of what it has replayed last.
_CLOCK: LiteralString = """
SELECT pg_is_in_recovery(), extract(epoch FROM
    CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() ELSE clock_timestamp() END)
"""

# Sessions of this database that can write. The start of a transaction is hidden
# - from roles that are neither the session's nor a member of pg_read_all_stats,
# - where the session has track_activities off, or had it when the transaction began.
# A session that is active and has no transaction yet is about to begin one, with the time of its query. One
# that has a snapshot, or waits for a lock, is in a transaction, whose start is then hidden; but where it is
# idle or starting, it has begun that since its state was read, later than the clock was.
# A walsender is active for as long as somebody replicates from here, and writes nothing.
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

# Read after the sessions: a transaction that is prepared meanwhile is in one of the two at least.
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
    """Look at the source's clock and at its transactions in flight. Call it before the snapshot is taken.

    Args:
        connection: An autocommit connection.
        overlap: Seconds that are always subtracted; None for `DEFAULT_OVERLAP` where something is hidden.
        max_lookback: Seconds to go back at most for a transaction in flight.
        stored: The last sync time as it is stored, in Unix seconds.

    Raises:
        psycopg.Error: The source cannot be asked.
    """
    return _Look(connection, overlap, max_lookback).watermark(stored)


class _Look:
    """One look at a source. The order of its questions matters: clock, sessions, prepared transactions."""

    def __init__(self, connection: psycopg.Connection[Any], overlap: int | None, max_lookback: int) -> None:
        self._connection = connection
        self._given = overlap or 0
        self._guess = DEFAULT_OVERLAP if overlap is None else overlap
        self._max_lookback = max_lookback
        self._warnings: list[str] = []

    def watermark(self, stored: int) -> Watermark:
        """Find the last sync time for the next run."""
        replica, clock = self._ask(_CLOCK) or (False, None)
        if clock is None:
            self._warn(
                "The source's clock is not known, as on a replica that has replayed nothing yet: the last"
                " sync time stays where it is, and the next run reads the same changes again."
            )
            return Watermark(None, self._warnings)
        if replica:
            self._warn_of_primary("a replica")
            return Watermark(_before(clock, self._guess), self._warnings)
        start, hidden = self._oldest_start(clock)
        if (found := self._ask(_SUBSCRIPTIONS)) and found[0]:
            self._warn_of_primary("a logical subscriber")
            hidden = True
        time = _before(start, self._guess if hidden else self._given)
        return Watermark(self._held_back(time, clock, stored), self._warnings)

    def _oldest_start(self, clock: Decimal) -> tuple[Decimal, bool]:
        """Find the start of the oldest transaction in flight, and say whether some are hidden."""
        found = self._ask(_IN_FLIGHT)
        if found is None:
            self._warn(
                "The sync's role may not read pg_stat_activity, so transactions in flight cannot be seen and"
                f" the next last sync time is put back by overlap ({self._guess} s). For the exact time:"
                " GRANT SELECT ON pg_catalog.pg_stat_activity TO the role."
            )
            return clock, True
        oldest, not_allowed, not_tracked, role = found
        if not_allowed:
            self._warn(
                f"Sessions of other roles ({not_allowed}) hide when their transactions began, so the next"
                f" last sync time is put back by overlap ({self._guess} s). For the exact time:"
                f" GRANT pg_read_all_stats TO {role}"
            )
        if not_tracked:
            self._warn(
                f"Sessions with track_activities off ({not_tracked}) hide when their transactions began, so"
                f" the next last sync time is put back by overlap ({self._guess} s). For the exact time, turn"
                " it on for their roles: ALTER ROLE … SET track_activities = on"
            )
        # The clock was read first: a transaction that starts after that has a later time.
        start = min(clock, oldest if oldest is not None else clock)
        earliest = clock - self._max_lookback
        if start < earliest:
            self._warn(
                f"A transaction has been open on the source for {int(clock - start)} s, longer than"
                f" max_lookback ({self._max_lookback} s): rows that it stamps and commits later are missed."
                " pg_stat_activity shows it."
            )
        return max(start, earliest), bool(not_allowed or not_tracked)

    def _held_back(self, time: int, clock: Decimal, stored: int) -> int:
        """Do not advance while a transaction is prepared: when it began is not shown anywhere."""
        found = self._ask(_PREPARED)
        if found is None:
            self._warn(
                "The sync's role may not read pg_prepared_xacts, so rows of prepared transactions may be"
                " missed. To see them: GRANT SELECT ON pg_catalog.pg_prepared_xacts TO the role."
            )
            return min(time, _before(clock, self._guess))
        count, prepared = found
        if not count:
            return time
        held = stored or _before(prepared, self._guess)
        earliest = _before(clock - self._max_lookback, self._given)
        self._warn(
            f"Prepared transactions ({count}) hide when they began, so the last sync time does not advance"
            " until they are committed or rolled back. pg_prepared_xacts shows them."
        )
        if held < earliest:
            self._warn(
                f"The prepared transactions are older than max_lookback ({self._max_lookback} s) allows: rows"
                " that they commit later are missed."
            )
        return min(time, max(held, earliest))

    def _warn_of_primary(self, kind: str) -> None:
        self._warn(
            f"The source is {kind}: transactions of the primary cannot be seen here, so the next last sync"
            f" time is put back by overlap ({self._guess} s). Set overlap to the lag plus the longest"
            " transaction of the primary."
        )

    def _ask(self, statement: LiteralString) -> Sequence[Any] | None:
        """Ask for one row; None where the server does not have, or does not allow, what is asked for."""
        try:
            return self._connection.execute(statement).fetchone()
        except psycopg.Error as error:
            if (error.sqlstate or "").startswith(_NOT_AVAILABLE):
                return None
            raise

    def _warn(self, message: str) -> None:
        self._warnings.append(message)
        log.warning("%s", message)


def _before(moment: Decimal, overlap: int) -> int:
    """Round a moment down, less a second: columns may hold whole seconds, and people write > or >=."""
    return max(int(moment // 1) - 1 - overlap, 0)
