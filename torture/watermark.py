"""A million updates by writers that commit late, unseen, prepared or not at all, while syncs run in a row.

Every row must have arrived in its last version once the writers are done and one more sync has run. There are
five ways of writing, each with a database of its own: transactions that the sync's role can see; some that
are prepared; an application that stamps its rows early and whose role is not tracked, with an ``overlap``
that covers both; transactions of another role, which the sync's role may not see; and transactions in which
tracking is switched off or on. The last two rely on the default overlap, which is subtracted only where a
run notices that something is hidden. The default is set to seconds here, so that the time advances.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
import psycopg
from psycopg.conninfo import make_conninfo

from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.engine.sources.postgres import watermark
from local.postgres import LocalPostgres
from torture.scenario import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation
    from torture.scenario import Trial

#: Sessions of each way of writing.
_WRITERS = 8
#: The share of pauses that are long. A short one hides behind the second that is always subtracted.
_LONG_PAUSES = 0.15
#: The pause between two syncs.
_PAUSE = 0.2
#: How many missed rows a message lists.
_LISTED = 5
_PASSWORD = "torture"
#: A superuser, and a role whose sessions are not tracked.
_TRACKED, _UNTRACKED = "postgres", "untracked"


@dataclass(frozen=True)
class _Stage:
    """One way of writing, and how the sync is set up for it.

    Args:
        name: The database.
        role: The role of the sync.
        styles: How transactions are written.
        writer: The role of the writers.
        overlap: Seconds, as a spec gives them.
    """

    name: str
    role: str
    styles: tuple[Callable[[_Writer, range], None], ...]
    writer: str = _TRACKED
    overlap: int | None = None


def run(trial: Trial) -> str:
    """Write and sync at the same time, in five databases of one server."""
    updates = trial.scale(1_000_000, 20_000)
    longest = trial.scale(6.0, 3.0)
    overlap = trial.scale(10, 8)  # the short form runs on machines that are busy with other tests
    seen = (plain, late, rolled_back, savepoints, subtransactions, seconds)
    stages = [
        _Stage("seen", "watcher", seen),
        # Of its own: the last sync time does not advance while a transaction is prepared.
        _Stage("prepared", "watcher", (plain, late, savepoints, two_phases)),
        _Stage("early", "watcher", (plain, late, savepoints, stamped_early), _UNTRACKED, overlap),
        _Stage("others", "stranger", (plain, late, rolled_back, savepoints)),
        _Stage("switched", "watcher", (switched_on, switched_on_late, switched_off)),
    ]
    with (
        LocalPostgres(trial.folder, settings={"max_prepared_transactions": _WRITERS}) as postgres,
        ThreadPoolExecutor(len(stages)) as threads,
        patch.object(watermark, "DEFAULT_OVERLAP", overlap),
    ):
        with postgres.connect() as connection:
            _create_roles(connection)
            for stage in stages:
                connection.execute(f"CREATE DATABASE {stage.name}".encode())
        runs = [_Run(trial, postgres, stage, updates // len(stages), longest) for stage in stages]
        done = list(threads.map(_Run.run, runs))
    missed = [f"{stage.name}: {lost}" for stage, (_, lost, _) in zip(stages, done, strict=True) if lost]
    figures = ", ".join(
        f"{stage.name}: {written:,} updates, {syncs}"
        for stage, (written, _, syncs) in zip(stages, done, strict=True)
    )
    expect(not missed, f"rows were missed, {'; '.join(missed)} ({figures})")
    return f"{figures}; 0 rows missed"


def _create_roles(connection: psycopg.Connection[Any]) -> None:
    for role, groups in (
        ("watcher", "pg_read_all_data, pg_read_all_stats"),
        ("stranger", "pg_read_all_data"),
        (_UNTRACKED, "pg_read_all_data, pg_write_all_data"),
    ):
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{_PASSWORD}' IN ROLE {groups}".encode())
    connection.execute(f"ALTER ROLE {_UNTRACKED} SET track_activities = off".encode())


class _Run:
    """The writers of one database, and the syncs that run meanwhile."""

    def __init__(
        self, trial: Trial, postgres: LocalPostgres, stage: _Stage, rows: int, longest: float
    ) -> None:
        self._trial = trial
        self._stage = stage
        self._rows = rows
        self._longest = longest
        self._uri = make_conninfo(postgres.uri, dbname=stage.name)
        self._workspace = _Workspace()
        self._syncs = 0
        self._advances = 0
        self._read = 0

    def run(self) -> tuple[int, str, str]:
        """Say how many updates were written, which rows were missed, and what the syncs did."""
        self._create()
        bounds = [self._rows * number // _WRITERS for number in range(_WRITERS + 1)]
        last_sync_time = self._sync(0)  # of rows that no writer has touched yet
        with ThreadPoolExecutor(_WRITERS) as threads:
            writers = [
                threads.submit(self._write, number, range(bounds[number], bounds[number + 1]))
                for number in range(_WRITERS)
            ]
            while not all(writer.done() for writer in writers):
                last_sync_time = self._sync(last_sync_time)
                time.sleep(_PAUSE)
            written = sum(writer.result() for writer in writers)
        self._sync(last_sync_time)
        return (
            written,
            self._missed(),
            f"{self._syncs} syncs, {self._advances} of which advanced, {self._read:,} rows read",
        )

    def _create(self) -> None:
        """Create rows, which are old."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(
                f"""
                CREATE TABLE accounts (id int PRIMARY KEY, version int, updated_at timestamptz NOT NULL);
                INSERT INTO accounts SELECT n, 0, '2000-01-01' FROM generate_series(0, {self._rows - 1}) n;
                CREATE INDEX ON accounts (updated_at);
                ANALYZE accounts
                """.encode()
            )

    def _write(self, number: int, rows: range) -> int:
        # Not hash(): that of a text differs from process to process.
        chance = random.Random(f"{self._trial.seed} {self._stage.name} {number}")
        role = {} if self._stage.writer == _TRACKED else {"user": self._stage.writer, "password": _PASSWORD}
        with psycopg.connect(make_conninfo(self._uri, **role), autocommit=True) as connection:
            writer = _Writer(connection, chance, self._longest, f"{number}")
            for block in _blocks(rows, chance, self._trial.scale(400, 240)):
                chance.choice(self._stage.styles)(writer, block)
            return writer.written

    def _sync(self, last_sync_time: int) -> int:
        """Run a sync as a task would, and return what it stores."""
        query = f"SELECT id, version FROM accounts WHERE updated_at > to_timestamp({last_sync_time})"
        source = PostgresSource(
            lambda: psycopg.connect(self._uri, user=self._stage.role, password=_PASSWORD),
            overlap=self._stage.overlap,
        )
        summary = Summary(last_sync_time)
        run_sync(Sync(main=PeopleQuery(sql=query)), source, self._workspace, Rejections(), summary)
        self._syncs += 1
        self._read += summary.rows_read
        self._advances += summary.next_last_sync_time > last_sync_time
        return summary.next_last_sync_time

    def _missed(self) -> str:
        """List rows whose last version did not arrive."""
        seen = self._workspace.versions
        with psycopg.connect(self._uri) as connection:
            rows = connection.execute(b"SELECT id, version, updated_at::text FROM accounts")
            missed = [row for row in rows if seen.get(row[0]) != row[1]]
        if not missed:
            return ""
        return f"{len(missed):,} of {self._rows:,}, such as {', '.join(map(str, missed[:_LISTED]))}"


class _Operation(msgspec.Struct):
    class Identifiers(msgspec.Struct):
        id: str

    class Attributes(msgspec.Struct):
        version: int

    identifiers: Identifiers
    attributes: Attributes


_read = msgspec.json.Decoder(list[_Operation]).decode


class _Workspace(DryRun):
    """Keeps the version of each row that arrived last."""

    def __init__(self) -> None:
        self.versions: dict[int, int] = {}

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Accept all."""
        for operation in _read(b"[" + b",".join(operations) + b"]"):
            self.versions[int(operation.identifiers.id)] = operation.attributes.version
        return []


def _blocks(rows: range, chance: random.Random, largest: int) -> Iterator[range]:
    """Divide rows into blocks, one for each transaction; a tenth of them come twice."""
    again: list[range] = []
    start = rows.start
    while start < rows.stop:
        block = range(start, min(start + chance.randint(1, largest), rows.stop))
        start = block.stop
        yield block
        if chance.random() < 0.1:  # noqa: PLR2004 - said above
            again.append(block)
        if len(again) > 1:
            yield again.pop(0)
    yield from again


class _Writer:
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
        """A name for the transaction under way."""
        return f"{self._name}_{self.transactions}"

    def begin(self) -> None:
        """Begin a transaction."""
        self.transactions += 1
        self.execute("BEGIN")

    def update(self, rows: range, stamp: str = "now()") -> None:
        """Write rows, stamped as most applications do: with the start of the transaction."""
        self.execute(self.statement(rows, stamp).encode())
        self.written += len(rows)

    def statement(self, rows: range, stamp: str = "now()", source: str = "") -> str:
        """Give the statement that writes rows, with what it reads first."""
        return (
            f"UPDATE accounts SET version = version + 1, updated_at = {stamp}{source and f' FROM {source}'}"
            f" WHERE id BETWEEN {rows.start} AND {rows.stop - 1}"
        )

    def dawdle(self, share: float = 1.0) -> None:
        """Wait a little, or now and then nearly as long as a transaction may take."""
        time.sleep(self.pause(share))

    def pause(self, share: float) -> float:
        """Give seconds to wait."""
        long = self.chance.random() < _LONG_PAUSES
        return self._longest * share * self.chance.uniform(*((0.75, 1) if long else (0, 0.05)))


def plain(writer: _Writer, rows: range) -> None:
    """Write, wait, commit."""
    writer.begin()
    writer.update(rows)
    writer.dawdle()
    writer.execute("COMMIT")


def late(writer: _Writer, rows: range) -> None:
    """Begin long before the first write, and read meanwhile."""
    writer.begin()
    writer.execute("SELECT 1")
    writer.dawdle(0.7)
    writer.update(rows)
    writer.dawdle(0.3)
    writer.execute("COMMIT")


def seconds(writer: _Writer, rows: range) -> None:
    """Keep whole seconds only."""
    writer.begin()
    writer.update(rows, "date_trunc('second', now())")
    writer.dawdle()
    writer.execute("COMMIT")


def rolled_back(writer: _Writer, rows: range) -> None:
    """Fail the first time, and write later what was not written."""
    writer.begin()
    writer.execute(writer.statement(rows).encode())
    writer.dawdle(0.5)
    writer.execute("ROLLBACK")
    plain(writer, rows)


def savepoints(writer: _Writer, rows: range) -> None:
    """Go back to a savepoint, and write the other half, too."""
    middle = (rows.start + rows.stop) // 2
    writer.begin()
    writer.update(range(rows.start, middle))
    writer.execute("SAVEPOINT half")
    writer.execute(writer.statement(range(middle, rows.stop)).encode())
    writer.dawdle(0.5)
    writer.execute("ROLLBACK TO half")
    writer.update(range(middle, rows.stop))
    writer.execute("RELEASE half")
    writer.dawdle(0.5)
    writer.execute("COMMIT")


def subtransactions(writer: _Writer, rows: range) -> None:
    """Let a block of PL/pgSQL catch an error, then write in another one."""
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
    writer.dawdle()
    writer.execute("COMMIT")


def two_phases(writer: _Writer, rows: range) -> None:
    """Prepare the transaction, and commit it later; meanwhile no session has it."""
    writer.begin()
    writer.update(rows)
    writer.execute(f"PREPARE TRANSACTION '{writer.name}'".encode())
    writer.dawdle()
    writer.execute(f"COMMIT PREPARED '{writer.name}'".encode())


def stamped_early(writer: _Writer, rows: range) -> None:
    """Stamp as an ORM does that makes its objects first, and begins the transaction when it saves them."""
    stamp = f"to_timestamp({time.time()})"
    writer.dawdle(0.5)
    writer.begin()
    writer.update(rows, stamp)
    writer.dawdle(0.5)
    writer.execute("COMMIT")


def switched_on(writer: _Writer, rows: range) -> None:
    """Begin unseen: the start is not shown either when tracking is on again."""
    writer.execute("SET track_activities = off")
    writer.begin()
    writer.execute("SET track_activities = on")
    writer.dawdle(0.5)
    writer.update(rows)
    writer.dawdle(0.5)
    writer.execute("COMMIT")


def switched_on_late(writer: _Writer, rows: range) -> None:
    """Begin unseen, and then compute for long before the first row is written."""
    writer.execute("SET track_activities = off")
    writer.begin()
    writer.dawdle(0.8)
    writer.execute("SET track_activities = on")
    pause = writer.pause(0.2)
    computed = f"WITH computed AS MATERIALIZED (SELECT pg_sleep({pause}))"
    writer.execute(f"{computed} {writer.statement(rows, source='computed')}".encode())
    writer.written += len(rows)
    writer.execute("COMMIT")


def switched_off(writer: _Writer, rows: range) -> None:
    """Let tracking end in mid-transaction."""
    writer.begin()
    writer.execute("SET LOCAL track_activities = off")
    writer.update(rows)
    writer.dawdle()
    writer.execute("COMMIT")
