"""The writers of the scenario `watermark`: sessions of an application, and its kinds of transactions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    import psycopg

#: Share of long pauses. Short pauses are covered by the second that is always subtracted.
_LONG_PAUSES = 0.15


class Writer:
    """One session of an application."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        chance: random.Random,
        longest: float,
        name: str,
    ) -> None:
        self.execute = connection.execute
        self.chance = chance
        self.written = 0
        self.transactions = 0
        self._longest = longest
        self._name = name

    @property
    def name(self) -> str:
        """The name of the current transaction."""
        return f"{self._name}_{self.transactions}"

    def begin(self) -> None:
        """Begin a transaction."""
        self.transactions += 1
        self.execute("BEGIN")

    def update(self, rows: range, stamp: str = "now()") -> None:
        """Update rows. By default `updated_at` is the start of the transaction, as in most applications."""
        self.execute(self.statement(rows, stamp).encode())
        self.written += len(rows)

    def statement(self, rows: range, stamp: str = "now()", source: str = "") -> str:
        """Return the statement that updates rows."""
        return (
            f"UPDATE accounts SET version = version + 1, updated_at = {stamp}{source and f' FROM {source}'}"
            f" WHERE id BETWEEN {rows.start} AND {rows.stop - 1}"
        )

    def wait(self, share: float = 1.0) -> None:
        """Wait for a short time, or sometimes nearly as long as a transaction may take."""
        time.sleep(self.pause(share))

    def pause(self, share: float) -> float:
        """Return random seconds to wait."""
        long = self.chance.random() < _LONG_PAUSES
        return self._longest * share * self.chance.uniform(*((0.75, 1) if long else (0, 0.05)))


def plain(writer: Writer, rows: range) -> None:
    """Write, wait, commit."""
    writer.begin()
    writer.update(rows)
    writer.wait()
    writer.execute("COMMIT")


def late(writer: Writer, rows: range) -> None:
    """Begin long before the first write, with a read in between."""
    writer.begin()
    writer.execute("SELECT 1")
    writer.wait(0.7)
    writer.update(rows)
    writer.wait(0.3)
    writer.execute("COMMIT")


def seconds(writer: Writer, rows: range) -> None:
    """Write times in whole seconds."""
    writer.begin()
    writer.update(rows, "date_trunc('second', now())")
    writer.wait()
    writer.execute("COMMIT")


def rolled_back(writer: Writer, rows: range) -> None:
    """Roll back, and write again in another transaction."""
    writer.begin()
    writer.execute(writer.statement(rows).encode())
    writer.wait(0.5)
    writer.execute("ROLLBACK")
    plain(writer, rows)


def savepoints(writer: Writer, rows: range) -> None:
    """Roll back to a savepoint, and write the other half again."""
    middle = (rows.start + rows.stop) // 2
    writer.begin()
    writer.update(range(rows.start, middle))
    writer.execute("SAVEPOINT half")
    writer.execute(writer.statement(range(middle, rows.stop)).encode())
    writer.wait(0.5)
    writer.execute("ROLLBACK TO half")
    writer.update(range(middle, rows.stop))
    writer.execute("RELEASE half")
    writer.wait(0.5)
    writer.execute("COMMIT")


def subtransactions(writer: Writer, rows: range) -> None:
    """Catch an error in a block of PL/pgSQL, and write in another block."""
    writer.begin()
    writer.execute(
        f"""
        DO $$ BEGIN
            BEGIN {writer.statement(rows)}; RAISE 'again'; EXCEPTION WHEN raise_exception THEN NULL; END;
            BEGIN {writer.statement(rows)}; EXCEPTION WHEN raise_exception THEN NULL; END;
        END $$
        """.encode()
    )
    writer.written += len(rows)
    writer.wait()
    writer.execute("COMMIT")


def two_phases(writer: Writer, rows: range) -> None:
    """Prepare the transaction and commit it later. In between, it belongs to no session."""
    writer.begin()
    writer.update(rows)
    writer.execute(f"PREPARE TRANSACTION '{writer.name}'".encode())
    writer.wait()
    writer.execute(f"COMMIT PREPARED '{writer.name}'".encode())


def stamped_early(writer: Writer, rows: range) -> None:
    """Set `updated_at` before the transaction, like an ORM that saves its objects later."""
    stamp = f"to_timestamp({time.time()})"
    writer.wait(0.5)
    writer.begin()
    writer.update(rows, stamp)
    writer.wait(0.5)
    writer.execute("COMMIT")


def switched_on(writer: Writer, rows: range) -> None:
    """Begin without tracking. The start stays hidden after tracking is switched on."""
    writer.execute("SET track_activities = off")
    writer.begin()
    writer.execute("SET track_activities = on")
    writer.wait(0.5)
    writer.update(rows)
    writer.wait(0.5)
    writer.execute("COMMIT")


def switched_on_late(writer: Writer, rows: range) -> None:
    """Begin without tracking, and compute for a long time before the first row is written."""
    writer.execute("SET track_activities = off")
    writer.begin()
    writer.wait(0.8)
    writer.execute("SET track_activities = on")
    pause = writer.pause(0.2)
    computed = f"WITH computed AS MATERIALIZED (SELECT pg_sleep({pause}))"
    writer.execute(f"{computed} {writer.statement(rows, source='computed')}".encode())
    writer.written += len(rows)
    writer.execute("COMMIT")


def switched_off(writer: Writer, rows: range) -> None:
    """Switch tracking off in the middle of the transaction."""
    writer.begin()
    writer.execute("SET LOCAL track_activities = off")
    writer.update(rows)
    writer.wait()
    writer.execute("COMMIT")
