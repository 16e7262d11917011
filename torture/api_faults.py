"""All kinds of API faults: at 1 % of the requests, at 20 %, in bursts, and one fault that does not end.

Each run imports all rows again. Afterwards every row in the workspace equals the source, the report has each
rejected row once, the counts are correct, and the last sync time has moved only if no row was rejected.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args
from unittest.mock import patch

import psycopg

from airflow_provider_cio.emulator.fault_plans import Body, Lost, Page, Raw, Status
from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from airflow_provider_cio.engine import Status as RunStatus
from airflow_provider_cio.engine.delivery import lanes
from airflow_provider_cio.errors import TransientError
from airflow_provider_cio.track import backoff
from local.postgres import LocalPostgres
from torture.scenario import BrokenPromiseError, expect
from torture.workspace import FaultyWorkspace

if TYPE_CHECKING:
    from torture.scenario import Trial

#: All kinds of faults. A repeated request succeeds after each of them.
KINDS = [kind for group in (Status, Page, Body, Lost, Raw) for kind in get_args(group)]
#: The last sync time of each run. It moves only if the run imports all rows.
_LAST_SYNC_TIME = 7
#: Seconds that the client waits for a response, and the longer time that a slow response takes.
_TIMEOUT = 1.0
_SLOW = 3.0
#: Requests have a fifth of their usual size, so there are five times as many. They are repeated sooner.
_BATCH_BYTES = 100_000
_FIRST_BACKOFF = 0.1
#: Seconds for which a request is repeated: longer than any burst, and short for a fault that does not end.
_RETRY_FOR = 300.0
_RETRY_FOR_IN_VAIN = 2.0
#: Number of entries in a schedule of faults: more than there are requests.
_ENTRIES = 10_000
#: Lengths of a burst. A longer burst could hit one request so often that its backoff exceeds the time limit.
_BURST = range(2, 7)
#: Customer.io rejects every 499th row: its value has more than 1,000 bytes.
_REJECTED_EVERY = 499

#: Rows are wide, so there are many requests.
_FILLERS = 5
_TABLE = """
CREATE TABLE people AS SELECT 'p' || n AS id, n AS number, 0 AS round, 'é' AS text, {fillers}
FROM generate_series(1, {rows}) n
"""
_QUERY = "SELECT * FROM people"
_NAMES = ("id", "number", "round", "text", *(f"filler_{number}" for number in range(_FILLERS)))


@dataclass
class _Round:
    """One run and its faults.

    Args:
        name: Name in the figures.
        rate: Share of the requests that have a fault.
        burst: Number of successive requests with the same fault.
        rejected: Whether Customer.io rejects some rows.
    """

    name: str
    rate: float
    burst: range = range(1, 2)
    rejected: bool = True


_ROUNDS = (
    _Round("1 %", 0.01),
    _Round("20 %", 0.2),
    _Round("bursts", 0.2, _BURST, rejected=False),
)


def run(trial: Trial) -> str:
    """Import all rows while requests fail, and then with a fault that does not end."""
    chance = random.Random(trial.seed)
    rows = trial.scale(50_000, 2_000)
    figures = []
    with (
        LocalPostgres(trial.folder) as postgres,
        FaultyWorkspace() as workspace,
        patch.object(lanes, "BATCH_BYTES", _BATCH_BYTES),
        patch.object(backoff, "FIRST_BACKOFF", _FIRST_BACKOFF),
    ):
        with postgres.connect() as connection:
            fillers = ", ".join(
                f"repeat(chr(97 + (n + {number}) % 26), 900) AS filler_{number}" for number in range(_FILLERS)
            )
            connection.execute(_TABLE.format(rows=rows, fillers=fillers).encode())
        for number, each in enumerate(_ROUNDS, 1):
            figures.append(_import(each, number, postgres, workspace, chance))
        figures.append(_import_in_vain(len(_ROUNDS) + 1, postgres, workspace, chance))
    return f"{rows:,} rows, {len(KINDS)} kinds: {'; '.join(figures)}"


def _import(
    each: _Round, number: int, postgres: LocalPostgres, workspace: FaultyWorkspace, chance: random.Random
) -> str:
    expected, rejected = _change(postgres, number, each)
    workspace.fail(schedule=_schedule(each, chance))
    summary, rejections = Summary(_LAST_SYNC_TIME), Rejections()
    with workspace.client(timeout=_TIMEOUT, retry_for=_RETRY_FOR) as client:
        run_sync(Sync(main=PeopleQuery(sql=_QUERY)), _source(postgres), client, rejections, summary)
    met = workspace.faults_met()
    workspace.fail()
    counts = summary.queries["people"]
    expect(
        (counts.read, counts.imported, counts.failed)
        == (len(expected) + len(rejected), len(expected), len(rejected)),
        f"{each.name}: counted {counts} instead of {len(expected)} imported, {len(rejected)} failed",
    )
    reported = sorted(rejection.identifier for rejection in rejections)
    expect(
        reported == sorted(rejected),
        f"{each.name}: the report has {len(reported)} rows instead of {len(rejected)}",
    )
    moved = summary.next_last_sync_time != summary.last_sync_time
    expect(moved != each.rejected, f"{each.name}: the last sync time {'moved' if moved else 'stayed'}")
    _compare(each.name, expected, workspace)
    faults = sum(met.values()) - met.get("healthy", 0)
    kinds = len({*met} - {"healthy"})
    return f"{each.name}: {summary.requests:,} requests, {faults:,} faults of {kinds} kinds"


def _import_in_vain(
    number: int, postgres: LocalPostgres, workspace: FaultyWorkspace, chance: random.Random
) -> str:
    """Let the API fail for good after some requests. All rows counted as imported must arrive."""
    expected, _ = _change(postgres, number, _Round("no end", 1, rejected=False))
    kind = chance.choice(["503", "html", "reset", "bad_gzip"])
    workspace.fail(schedule=[None] * chance.randint(1, 4) + [{"kind": kind, "applied": False}] * _ENTRIES)
    summary = Summary(_LAST_SYNC_TIME)
    try:
        with workspace.client(timeout=_TIMEOUT, retry_for=_RETRY_FOR_IN_VAIN) as client:
            run_sync(Sync(main=PeopleQuery(sql=_QUERY)), _source(postgres), client, Rejections(), summary)
    except TransientError:
        pass
    else:
        raise BrokenPromiseError(
            f"no end: a run with the fault {kind} at every request ended as {summary.status}"
        )
    workspace.fail()
    expect(
        summary.status is RunStatus.FAILED and summary.next_last_sync_time == _LAST_SYNC_TIME,
        f"no end: {summary.as_dict()}",
    )
    arrived = sum(person["round"] == str(number) for person in workspace.people(expected).values())
    counted = summary.rows_imported
    expect(counted <= arrived, f"no end: {counted} rows were counted as imported, but {arrived} have arrived")
    return f"no end: {kind}, {counted:,} rows counted as imported, {arrived:,} arrived"


def _source(postgres: LocalPostgres) -> PostgresSource:
    return PostgresSource(lambda: psycopg.connect(postgres.uri))


def _schedule(each: _Round, chance: random.Random) -> list[dict[str, Any] | None]:
    """Return a random schedule of faults. Each kind is used once before any kind is used again."""
    schedule: list[dict[str, Any] | None] = []
    unused: list[str] = []
    while len(schedule) < _ENTRIES:
        if chance.random() >= each.rate / chance.choice(each.burst):
            schedule.append(None)
            continue
        if not unused:
            unused = chance.sample(KINDS, len(KINDS))
        fault = {"kind": unused.pop(), "seconds": _SLOW, "applied": chance.random() < 0.5}  # noqa: PLR2004
        schedule += [fault] * chance.choice(each.burst)
    return schedule


def _change(
    postgres: LocalPostgres, number: int, each: _Round
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Change every row.

    Returns:
        The expected people of the workspace by id, and the ids of the rows that Customer.io rejects.
    """
    with postgres.connect() as connection:
        rejected = f"number % {_REJECTED_EVERY} = 0" if each.rejected else "false"
        connection.execute(
            f"UPDATE people SET round = {number},"
            f" text = repeat('é', CASE WHEN {rejected} THEN 501 ELSE 1 END)".encode()
        )
        rows = connection.execute(_QUERY.encode()).fetchall()
    people = {row[0]: dict(zip(_NAMES, map(str, row), strict=True)) for row in rows}
    too_long = [id_ for id_, person in people.items() if len(person["text"]) > 1]
    return {id_: person for id_, person in people.items() if id_ not in {*too_long}}, too_long


def _compare(name: str, expected: dict[str, dict[str, str]], workspace: FaultyWorkspace) -> None:
    found = workspace.people(expected)
    for person in found.values():
        person.pop("cio_id", None)
    different = [id_ for id_, person in expected.items() if found.get(id_) != person]
    expect(
        not different, f"{name}: {len(different)} rows differ from the source, for example {different[:5]}"
    )
