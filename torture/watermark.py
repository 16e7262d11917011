"""A million updates in transactions that commit late, are hidden or prepared, or roll back, while syncs run.

When the writers are done and one more sync has run, every row must have arrived in its last version. There
are five stages, each with its own database: transactions that the sync's role can see; some that are
prepared; an application that sets `updated_at` early and whose role is not tracked, with an ``overlap`` that
covers both; transactions of another role, which the sync's role cannot see; and transactions that switch
tracking off or on. The last two rely on the default overlap, which is subtracted only if a run detects hidden
transactions. The default is set to seconds here, so that the last sync time moves.
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
from torture.transactions import (
    Writer,
    late,
    plain,
    rolled_back,
    savepoints,
    seconds,
    stamped_early,
    subtransactions,
    switched_off,
    switched_on,
    switched_on_late,
    two_phases,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation
    from torture.scenario import Trial

#: Sessions of each stage.
_WRITERS = 8
#: Seconds between two syncs.
_PAUSE = 0.2
#: Number of missed rows in a message.
_LISTED = 5
_PASSWORD = "torture"
#: The superuser, and a role whose sessions are not tracked.
_TRACKED, _UNTRACKED = "postgres", "untracked"


@dataclass(frozen=True)
class _Stage:
    """A database with one kind of writers, and the sync that reads it.

    Args:
        name: Name of the database.
        role: Role of the sync.
        styles: Functions that write a transaction; each transaction uses a random one.
        writer: Role of the writers.
        overlap: The overlap of the spec, in seconds.
    """

    name: str
    role: str
    styles: tuple[Callable[[Writer, range], None], ...]
    writer: str = _TRACKED
    overlap: int | None = None


def run(trial: Trial) -> str:
    """Run writers and syncs at the same time, in five databases of one server."""
    updates = trial.scale(1_000_000, 20_000)
    longest = trial.scale(6.0, 3.0)
    overlap = trial.scale(10, 8)  # the short form runs on machines that are busy with other tests
    seen = (plain, late, rolled_back, savepoints, subtransactions, seconds)
    stages = [
        _Stage("seen", "watcher", seen),
        # A separate stage, because the last sync time does not move while a transaction is prepared.
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
    """The writers of one database, and the syncs that run at the same time."""

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
        """Run writers and syncs.

        Returns:
            The number of updates, the missed rows as text (empty if there are none), and figures of the
            syncs.
        """
        self._create()
        bounds = [self._rows * number // _WRITERS for number in range(_WRITERS + 1)]
        last_sync_time = self._sync(0)  # imports the rows before any update
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
            f"{self._syncs} syncs, {self._advances} moved the last sync time, {self._read:,} rows read",
        )

    def _create(self) -> None:
        """Create rows with an old time."""
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
        # A text as the seed: hash() of a text differs between processes.
        chance = random.Random(f"{self._trial.seed} {self._stage.name} {number}")
        role = {} if self._stage.writer == _TRACKED else {"user": self._stage.writer, "password": _PASSWORD}
        with psycopg.connect(make_conninfo(self._uri, **role), autocommit=True) as connection:
            writer = Writer(connection, chance, self._longest, f"{number}")
            for block in _blocks(rows, chance, self._trial.scale(400, 240)):
                chance.choice(self._stage.styles)(writer, block)
            return writer.written

    def _sync(self, last_sync_time: int) -> int:
        """Run a sync as a task would, and return the next last sync time."""
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
        """Return the rows whose last version did not arrive, as text."""
        seen = self._workspace.versions
        with psycopg.connect(self._uri) as connection:
            rows = connection.execute(b"SELECT id, version, updated_at::text FROM accounts")
            missed = [row for row in rows if seen.get(row[0]) != row[1]]
        if not missed:
            return ""
        return f"{len(missed):,} of {self._rows:,}, for example {', '.join(map(str, missed[:_LISTED]))}"


class _Operation(msgspec.Struct):
    class Identifiers(msgspec.Struct):
        id: str

    class Attributes(msgspec.Struct):
        version: int

    identifiers: Identifiers
    attributes: Attributes


_read = msgspec.json.Decoder(list[_Operation]).decode


class _Workspace(DryRun):
    """A workspace that keeps the last version of each row."""

    def __init__(self) -> None:
        self.versions: dict[int, int] = {}

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Accept all operations."""
        for operation in _read(b"[" + b",".join(operations) + b"]"):
            self.versions[int(operation.identifiers.id)] = operation.attributes.version
        return []


def _blocks(rows: range, chance: random.Random, largest: int) -> Iterator[range]:
    """Divide rows into blocks, one for each transaction. A tenth of the blocks come twice."""
    again: list[range] = []
    start = rows.start
    while start < rows.stop:
        block = range(start, min(start + chance.randint(1, largest), rows.stop))
        start = block.stop
        yield block
        if chance.random() < 0.1:  # noqa: PLR2004 - a tenth, as above
            again.append(block)
        if len(again) > 1:
            yield again.pop(0)
    yield from again
