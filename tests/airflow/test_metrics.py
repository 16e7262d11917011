"""Metrics of runs, as a StatsD server receives them."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.test_sync import PEOPLE, spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.airflow.conftest import Airflow
    from tests.conftest import Database

DOCS = Path(__file__).parents[2] / "docs"
LINE = re.compile(r"airflow\.customerio\.(\w+),workspace=production,sync=(\w+):(-?[\d.]+)\|(\w+)")


class StatsdServer:
    """A UDP server to which Airflow sends its metrics."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def lines(self) -> list[str]:
        """Return the lines about Customer.io that arrived since the last call."""
        lines: list[str] = []
        while True:
            try:
                lines += self._listener.recv(65_536).decode().splitlines()
            except TimeoutError:
                return [line for line in lines if line.startswith("airflow.customerio.")]

    def metrics(self, sync_name: str) -> dict[str, tuple[float, str]]:
        """Return the value and the StatsD type of each metric of a sync since the last call."""
        found = [LINE.fullmatch(line) for line in self.lines()]
        assert all(found)
        matches = [match for match in found if match and match[2] == sync_name]
        assert len({match[1] for match in matches}) == len(matches)
        return {match[1]: (float(match[3]), match[4]) for match in matches}


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    """Start a StatsD server, and initialize Airflow's metrics as the process of a task does."""
    from airflow.sdk.configuration import conf
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.5)
        options: dict[str, Any] = {
            "STATSD_ON": True,
            "STATSD_HOST": "127.0.0.1",
            "STATSD_PORT": listener.getsockname()[1],
            "STATSD_INFLUXDB_ENABLED": True,
        }
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", str(value))
        legacy_names = conf.getboolean("metrics", "legacy_names_on")
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=legacy_names)
        yield StatsdServer(listener)
        monkeypatch.undo()
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=legacy_names)


def test_a_run_sends_its_counts_and_the_age_of_the_last_completed_run(
    connected: Airflow, database: Database, statsd: StatsdServer
) -> None:
    """Counts are counters, the duration is a timer in milliseconds, and the age is a gauge of seconds."""
    database.execute(f"{PEOPLE}; INSERT INTO people SELECT 'mt' || n, NULL FROM generate_series(1, 9) n")
    connected.write("syncs/measured.yaml", spec("measured"))
    statsd.lines()
    summary = connected.summary(connected.run("customerio.production.measured"))
    metrics = statsd.metrics("measured")
    duration, kind = metrics.pop("duration")
    assert (round(duration / 1000, 1), kind) == (round(summary["duration"], 1), "ms")
    assert metrics == {
        "rows_read": (9, "c"),
        "rows_imported": (9, "c"),
        "rows_failed": (0, "c"),
        "requests": (summary["requests"], "c"),
        "bytes": (summary["bytes"], "c"),
        "seconds_since_last_completed": (0, "g"),
    }
    completed = json.loads(connected.variable("customerio.production.measured.last_completed") or "")
    assert completed["finished_at"].startswith(summary["finished_at"][:19])

    connected.set_variable(
        "customerio.production.measured.last_completed", '{"finished_at": "2026-01-01T00:00:00Z"}'
    )
    database.execute("INSERT INTO people VALUES (NULL, NULL, now())")
    assert connected.run("customerio.production.measured").state == "failed"
    metrics = statsd.metrics("measured")
    assert (metrics["rows_failed"], metrics["rows_imported"]) == ((1, "c"), (0, "c"))
    assert metrics["seconds_since_last_completed"][0] > 86_400


def test_a_sync_that_never_completed_has_no_age(
    connected: Airflow, database: Database, statsd: StatsdServer
) -> None:
    """The other metrics of a failed run are sent."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES (NULL, NULL)")
    connected.write("syncs/never.yaml", spec("never"))
    statsd.lines()
    connected.run("customerio.production.never")
    metrics = statsd.metrics("never")
    assert metrics["rows_failed"] == (1, "c")
    assert "seconds_since_last_completed" not in metrics


def test_a_dry_run_sends_no_metrics(connected: Airflow, database: Database, statsd: StatsdServer) -> None:
    """Nothing was imported, so nothing is counted."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES ('md1', NULL)")
    connected.write("syncs/rehearsed.yaml", spec("rehearsed"))
    statsd.lines()
    connected.run("customerio.production.rehearsed", dry_run=True)
    assert statsd.lines() == []
    assert connected.variable("customerio.production.rehearsed.last_completed") is None


@pytest.mark.parametrize(
    ("sync_name", "stored"), [("text", "yesterday"), ("list", "[]"), ("number", '{"finished_at": 5}')]
)
def test_a_variable_that_is_not_valid_does_not_fail_a_run(
    connected: Airflow, database: Database, statsd: StatsdServer, sync_name: str, stored: str
) -> None:
    """The age is not sent, and the next run that Completed replaces the value."""
    database.execute(f"{PEOPLE}; INSERT INTO people VALUES (NULL, NULL)")
    connected.write(f"syncs/{sync_name}.yaml", spec(sync_name))
    key = f"customerio.production.{sync_name}.last_completed"
    connected.set_variable(key, stored)
    statsd.lines()
    connected.run(f"customerio.production.{sync_name}")
    assert "seconds_since_last_completed" not in statsd.metrics(sync_name)
    database.execute("UPDATE people SET id = 'ms1'")
    assert connected.run(f"customerio.production.{sync_name}").state == "success"
    assert '{"finished_at":"20' in (connected.variable(key) or "")


def test_the_dashboard_uses_metrics_that_exist() -> None:
    """Each query of the example dashboard has a documented metric, and each metric has a panel."""
    metrics = set(re.findall(r"^\| `customerio\.(\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    dashboard = json.loads((DOCS / "metrics-dashboard.json").read_text(encoding="utf-8"))
    queries = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    names = re.findall(r"airflow_customerio_(\w+?)(?:_sum|_count)?\b", queries)
    assert set(names) == metrics
