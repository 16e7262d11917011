"""Storms of 429 and 503. After a storm, a sync is soon as fast as before, with few lanes and with many.

A sync that meets a storm must end within twice the duration of the storm, plus its usual time.
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
#: Operations per chunk, as a source hands them over.
_CHUNK = 1_000
#: Seconds allowed for starting threads and connections.
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
                figures.append(f"{kind} with {lanes} lanes: {seconds:.1f} s, {count} requests")
                expect(
                    seconds <= 2 * storm + usual + _SLACK,
                    f"{lanes} lanes took {seconds:.1f} s with {kind} for {storm:g} s, {usual:.1f} s without",
                )
    return f"{rows:,} rows, storms of {storm:g} s: {'; '.join(figures)}"


def _deliver(
    emulator: EmulatorProcess, lanes: int, rows: int, storm: dict[str, object] | None
) -> tuple[float, int]:
    """Deliver rows.

    Args:
        emulator: The workspace.
        lanes: Number of lanes.
        rows: Number of rows.
        storm: The fault to inject; None for none.

    Returns:
        The seconds and the number of requests.
    """
    url = f"{emulator.url}/_faults"
    response = requests.post(url, json=storm, timeout=30) if storm else requests.delete(url, timeout=30)
    response.raise_for_status()
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
