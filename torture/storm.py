"""Storms of 429 and 503: when one is over, a sync is soon as fast as before, with few lanes and with many.

A sync that met a storm has to end within twice the storm's time plus what it takes without one.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import requests

from airflow_provider_cio.emulator.process import EmulatorProcess
from airflow_provider_cio.engine.delivery.lanes import Lanes
from airflow_provider_cio.engine.mapping.operations import Operation
from airflow_provider_cio.track import TrackClient
from torture.scenario import expect

if TYPE_CHECKING:
    from airflow_provider_cio.engine.delivery.verdicts import Verdicts
    from torture.scenario import Trial

_LANES = (1, 8, 64)
_KINDS = ("429", "503")
#: Operations that are handed over at a time, as a source does.
_CHUNK = 1_000
#: What starting threads and connections may take beside the two storms.
_SLACK = 5.0


def run(trial: Trial) -> str:
    """Run the scenario.

    Returns:
        The figures.
    """
    storm = trial.scale(15.0, 2.0)
    rows = trial.scale(20_000, 5_000)
    figures = []
    with EmulatorProcess(faults=True, count_only=True) as emulator:
        for lanes in _LANES:
            usual, _ = _deliver(emulator, lanes, rows, None)
            for kind in _KINDS:
                seconds, count = _deliver(emulator, lanes, rows, {"storm": kind, "seconds": storm})
                figures.append(f"{kind} at {lanes}: {seconds:.1f} s, {count} requests")
                expect(
                    seconds <= 2 * storm + usual + _SLACK,
                    f"{kind} for {storm:g} s at {lanes} lanes took {seconds:.1f} s; without it {usual:.1f} s",
                )
    return f"{rows:,} rows, storms of {storm:g} s: {'; '.join(figures)}"


def _deliver(
    emulator: EmulatorProcess, lanes: int, rows: int, plan: dict[str, object] | None
) -> tuple[float, int]:
    """Deliver so many rows; returns the seconds and the requests that it took."""
    url = f"{emulator.url}/_faults"
    answer = requests.post(url, json=plan, timeout=30) if plan else requests.delete(url, timeout=30)
    answer.raise_for_status()
    operations = [_operation(number) for number in range(rows)]
    accepted = 0

    def count(verdicts: Verdicts) -> None:
        nonlocal accepted
        accepted += len(verdicts.accepted)

    with TrackClient(
        site_id=emulator.site_id,
        api_key=emulator.api_key,
        base_url=emulator.url,
        max_concurrent_requests=lanes,
    ) as client:
        start = time.monotonic()
        with Lanes(client, count) as open_lanes:
            for first in range(0, rows, _CHUNK):
                open_lanes.send(operations[first : first + _CHUNK])
        seconds = time.monotonic() - start
    expect(accepted == rows, f"{accepted} of {rows} rows were accepted")
    return seconds, client.requests


def _operation(number: int) -> Operation:
    name = f"storm-{number}"
    content = {
        "type": "person",
        "identifiers": {"id": name},
        "attributes": {"note": "x" * 150},
        "action": "identify",
    }
    return Operation(number + 1, name, json.dumps(content).encode())
