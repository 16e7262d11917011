"""A network that stops forwarding and closes no connection, before Postgres or before the API.

A timeout ends the run within 15 s, whenever the network falls silent. A signal raises it in the main thread,
as with Airflow's ``execution_timeout``. Without a timeout, a run ends when Postgres is silent for longer than
`SILENCE_SECONDS`, or when a request was repeated for long enough; both are set to seconds here. The last sync
time does not move. When the network works again, the next run completes.
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
from torture.workspace import FaultyWorkspace

if TYPE_CHECKING:
    from torture.scenario import Trial

#: The promised seconds from the timeout to the end of the run.
_PROMISED = 15.0
#: Seconds of silence after which a run checks the server here, and seconds of that check.
_SILENCE, _CHECK = 2, 2
#: Short limits for a client: seconds for a response, and for which a request is repeated.
_SHORT_LIMITS = {"timeout": 1.0, "retry_for": 2.0}
#: Seconds after which a run counts as hanging.
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
        before: The server behind the silent network.
        moment: The step of the run at that moment.
        after: The least and the most that is forwarded before: bytes, or shares of a whole run.
        timeout: Whether the run has a timeout.
    """

    before: Literal["Postgres", "API"]
    moment: str
    after: tuple[float, float]
    timeout: bool = True

    def __str__(self) -> str:
        return f"{self.before}, {self.moment}" + ("" if self.timeout else ", without a timeout")


#: The first three are the short form.
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
    """Run a sync for each hole."""
    chance = random.Random(trial.seed)
    holes = _HOLES[: trial.scale(len(_HOLES), _SHORT_HOLES)] * trial.scale(3, 1)
    with (
        LocalPostgres(trial.folder) as postgres,
        FaultyWorkspace() as workspace,
        Proxy(postgres.port) as to_postgres,
        Proxy(int(workspace.url.rpartition(":")[2])) as to_api,
        postgres.connect() as connection,
        patch.object(session, "SILENCE_SECONDS", _SILENCE),
        patch.object(session, "BACKEND_CHECK_SECONDS", _CHECK),
    ):
        connection.execute(_TABLE.format(rows=trial.scale(20_000, 5_000)).encode())
        victim = _Victim(postgres, workspace, to_postgres, to_api)
        victim.run(**_SHORT_LIMITS)
        whole = {"Postgres": to_postgres.forwarded, "API": to_api.forwarded}
        late: dict[bool, list[tuple[float, _Hole]]] = {True: [], False: []}
        for hole in holes:
            connection.execute(b"UPDATE people SET round = round + 1")
            least, most = (bound * whole[hole.before] if bound < 1 else bound for bound in hole.after)
            seconds = _run_into(hole, chance.uniform(least, most), chance.uniform(0.1, 1), victim)
            late[hole.timeout].append((seconds, hole))
            _check_next_run(hole, victim, connection)
    with_timeout, without = (max(late[timeout], key=lambda pair: pair[0]) for timeout in (True, False))
    return (
        f"{len(holes)} runs; the longest time from the timeout to the end of the run was"
        f" {with_timeout[0]:.1f} s ({with_timeout[1]}); without a timeout, from the end of the limit:"
        f" {without[0]:.1f} s ({without[1]}); each next run Completed, 0 rows differ"
    )


class _Victim:
    """A sync whose connections go through two proxies."""

    def __init__(
        self, postgres: LocalPostgres, workspace: FaultyWorkspace, to_postgres: Proxy, to_api: Proxy
    ) -> None:
        self.workspace = workspace
        self.proxies = {"Postgres": to_postgres, "API": to_api}
        self._source = PostgresSource(lambda: psycopg.connect(postgres.uri, port=to_postgres.port))
        self._api = f"http://127.0.0.1:{to_api.port}"
        self.summary = Summary(_LAST_SYNC_TIME)

    def run(self, **options: float) -> None:
        """Run the sync once."""
        self.summary = Summary(_LAST_SYNC_TIME)
        with self.workspace.client(base_url=self._api, **options) as client:
            run_sync(Sync(main=PeopleQuery(sql=_QUERY)), self._source, client, Rejections(), self.summary)


def _run_into(hole: _Hole, count: float, delay: float, victim: _Victim) -> float:
    """Run the sync into a hole. Returns the seconds by which the run ended too late."""
    proxy = victim.proxies[hole.before]
    proxy.stall_after(int(count))
    interruption = Interruption(
        lambda: proxy.stalled_at, delay if hole.timeout else _PATIENCE, patience=_PATIENCE
    )
    error = interruption.during(lambda: victim.run(**({} if hole.timeout else _SHORT_LIMITS)))
    now, wall = time.monotonic(), time.time()
    expect(proxy.stalled_at, f"{hole}: the run ended before the silence, with {error!r}")
    if hole.timeout:
        late = now - (interruption.raised_at or now)
    else:
        limit = _SILENCE if hole.before == "Postgres" else _SHORT_LIMITS["retry_for"]
        late = max(wall - (proxy.stalled_at or wall) - limit, 0)
    proxy.heal()
    expect(late <= _PROMISED, f"{hole}, after {count:.0f} bytes: the run ended {late:.1f} s late")
    # All rows were read and accepted. Only Postgres's response to the end of the transaction was lost.
    if error is None:
        expect(victim.summary.status is Status.COMPLETED and hole.moment == "end", f"{hole}: no error")
        return late
    expect(
        isinstance(error, Interrupted if hole.timeout else TransientError),
        f"{hole}, after {count:.0f} bytes: the run raised {error!r}",
    )
    expect(
        victim.summary.status is Status.FAILED and victim.summary.next_last_sync_time == _LAST_SYNC_TIME,
        f"{hole}: the run ended as {victim.summary.status}, or the last sync time moved",
    )
    return late


def _check_next_run(hole: _Hole, victim: _Victim, connection: psycopg.Connection[Any]) -> None:
    """Run the sync through the working network, and compare all rows."""
    victim.run()
    expect(victim.summary.status is Status.COMPLETED, f"after {hole}: {victim.summary.status}")
    expected = connection.execute(b"SELECT id, round::text, text FROM people").fetchall()
    found = victim.workspace.people(id_ for id_, _, _ in expected)
    wrong = [id_ for id_, *values in expected if [found[id_]["round"], found[id_]["text"]] != values]
    expect(not wrong, f"after {hole}: {len(wrong)} rows differ, for example {wrong[:_LISTED]}")
