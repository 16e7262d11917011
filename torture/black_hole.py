"""A network that stops forwarding and closes nothing, before Postgres and before the API.

A timeout ends the run within 15 s, whenever the silence begins. A signal raises it in the main thread, as it
does for Airflow's ``execution_timeout``. Without a timeout, a silent Postgres ends the run after the silence
that a run bears, and a silent API after the time for which a request is repeated; both are set to seconds
here. The last sync time stays where it was. Once the network is back, the next run completes.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import patch

import psycopg

from airflow_provider_cio.engine import (
    PeopleQuery,
    PostgresSource,
    Rejections,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.sources.postgres import session
from airflow_provider_cio.errors import TransientError
from local.postgres import LocalPostgres
from torture.interruption import Interrupted, Interruption
from torture.proxy import Proxy
from torture.scenario import expect
from torture.workspace import Workspace

if TYPE_CHECKING:
    from torture.scenario import Trial

#: What is promised: seconds from the timeout to the end of the run.
_PROMISED = 15.0
#: Seconds of silence that a run bears here, and those of the second connection that looks at the server.
_SILENCE, _LOOK = 2, 2
#: Seconds for one answer, and for repeating a request, of a client that bears little.
_HASTY = {"timeout": 1.0, "retry_for": 2.0}
#: A run that has not ended by then hangs.
_PATIENCE = 120.0
_LAST_SYNC_TIME = 7
_LISTED = 5
_TABLE = """
CREATE TABLE people AS SELECT 'h' || n AS id, 0 AS round, repeat(n::text || ' ', 150) AS text
FROM generate_series(1, {rows}) n
"""
_QUERY = "SELECT id, round, text FROM people"


@dataclass(frozen=True)
class _Hole:
    """Where and when the network falls silent.

    Args:
        before: What it is before.
        moment: What a run is doing then.
        after: The least and the most that still gets through: bytes, or shares of a whole run.
        timeout: Whether the run has a timeout.
    """

    before: Literal["Postgres", "API"]
    moment: str
    after: tuple[float, float]
    timeout: bool = True

    def __str__(self) -> str:
        return f"{self.before}, {self.moment}" + ("" if self.timeout else ", without a timeout")


#: The first ones make up the short form.
_HOLES = (
    _Hole("Postgres", "mid-fetch", (0.1, 0.9)),
    _Hole("API", "mid-upload", (0.1, 0.9)),
    _Hole("Postgres", "login", (50, 700), timeout=False),
    _Hole("Postgres", "connect", (0, 0)),
    _Hole("Postgres", "login", (50, 700)),
    _Hole("Postgres", "first fetch", (2_000, 6_000)),
    _Hole("Postgres", "end", (0.97, 0.999)),
    _Hole("API", "connect", (0, 0)),
    _Hole("API", "first request", (100, 100_000)),
    _Hole("API", "end", (0.97, 0.999)),
    _Hole("Postgres", "connect", (0, 0), timeout=False),
    _Hole("Postgres", "first fetch", (2_000, 6_000), timeout=False),
    _Hole("Postgres", "mid-fetch", (0.1, 0.9), timeout=False),
    _Hole("API", "connect", (0, 0), timeout=False),
    _Hole("API", "mid-upload", (0.1, 0.9), timeout=False),
)
_SHORT_HOLES = 3


def run(trial: Trial) -> str:
    """Run a sync into one hole after the other."""
    chance = random.Random(trial.seed)
    holes = _HOLES[: trial.scale(len(_HOLES), _SHORT_HOLES)] * trial.scale(3, 1)
    with (
        LocalPostgres(trial.folder) as postgres,
        Workspace() as workspace,
        Proxy(postgres.port) as to_postgres,
        Proxy(int(workspace.url.rpartition(":")[2])) as to_api,
        postgres.connect() as connection,
        patch.object(session, "SILENCE_SECONDS", _SILENCE),
        patch.object(session, "BACKEND_CHECK_SECONDS", _LOOK),
    ):
        connection.execute(_TABLE.format(rows=trial.scale(20_000, 5_000)).encode())
        victim = _Victim(postgres, workspace, to_postgres, to_api)
        victim.run(**_HASTY)
        whole = {"Postgres": to_postgres.forwarded, "API": to_api.forwarded}
        late: dict[bool, list[tuple[float, _Hole]]] = {True: [], False: []}
        for hole in holes:
            connection.execute(b"UPDATE people SET round = round + 1")
            least, most = (bound * whole[hole.before] if bound < 1 else bound for bound in hole.after)
            seconds = _fall(hole, chance.uniform(least, most), chance.uniform(0.1, 1), victim)
            late[hole.timeout].append((seconds, hole))
            _check_next_run(hole, victim, connection)
    with_timeout, without = (max(late[timeout], key=lambda pair: pair[0]) for timeout in (True, False))
    return (
        f"{len(holes)} runs; the longest time from the timeout to the end of the run was"
        f" {with_timeout[0]:.1f} s ({with_timeout[1]}); without a timeout, from the end of what a run bears:"
        f" {without[0]:.1f} s ({without[1]}); each next run Completed, 0 rows differ"
    )


class _Victim:
    """A sync behind the two proxies."""

    def __init__(
        self, postgres: LocalPostgres, workspace: Workspace, to_postgres: Proxy, to_api: Proxy
    ) -> None:
        self.workspace = workspace
        self.proxies = {"Postgres": to_postgres, "API": to_api}
        self._source = PostgresSource(lambda: psycopg.connect(postgres.uri, port=to_postgres.port))
        self._api = f"http://127.0.0.1:{to_api.port}"
        self.summary = Summary(_LAST_SYNC_TIME)

    def run(self, **options: float) -> None:
        """Run it once."""
        self.summary = Summary(_LAST_SYNC_TIME)
        with self.workspace.client(base_url=self._api, **options) as client:
            run_sync(Sync(main=PeopleQuery(sql=_QUERY)), self._source, client, Rejections(), self.summary)


def _fall(hole: _Hole, count: float, delay: float, victim: _Victim) -> float:
    """Run into a hole, and give the seconds from when the run should have ended to when it did."""
    proxy = victim.proxies[hole.before]
    proxy.stall_after(int(count))
    interruption = Interruption(
        lambda: proxy.stalled_at, delay if hole.timeout else _PATIENCE, patience=_PATIENCE
    )
    error = interruption.during(lambda: victim.run(**({} if hole.timeout else _HASTY)))
    now, wall = time.monotonic(), time.time()
    expect(proxy.stalled_at, f"{hole}: the run ended before the silence, by {error!r}")
    if hole.timeout:
        late = now - (interruption.raised_at or now)
    else:
        borne = _SILENCE if hole.before == "Postgres" else _HASTY["retry_for"]
        late = max(wall - (proxy.stalled_at or wall) - borne, 0)
    proxy.heal()
    expect(late <= _PROMISED, f"{hole}, after {count:.0f} bytes: the run ended {late:.1f} s late")
    # All rows were read and accepted: only Postgres's answer to the end of the transaction got lost.
    if error is None:
        expect(victim.summary.status is Status.COMPLETED and hole.moment == "end", f"{hole}: no error")
        return late
    expect(
        isinstance(error, Interrupted if hole.timeout else TransientError),
        f"{hole}, after {count:.0f} bytes: the run raised {error!r}",
    )
    expect(
        victim.summary.status is Status.FAILED and victim.summary.next_last_sync_time == _LAST_SYNC_TIME,
        f"{hole}: the last sync time moved, though the run ended as {victim.summary.status}",
    )
    return late


def _check_next_run(hole: _Hole, victim: _Victim, connection: psycopg.Connection[Any]) -> None:
    """Run once more, through a network that is healthy again."""
    victim.run()
    expect(victim.summary.status is Status.COMPLETED, f"after {hole}: {victim.summary.status}")
    expected = connection.execute(b"SELECT id, round::text, text FROM people").fetchall()
    found = victim.workspace.people(id_ for id_, _, _ in expected)
    wrong = [id_ for id_, *values in expected if [found[id_]["round"], found[id_]["text"]] != values]
    expect(not wrong, f"after {hole}: {len(wrong)} rows differ, such as {wrong[:_LISTED]}")
