"""Operations per second of the emulator: only counted, and stored as people with ten attributes.

Run with ``python -m benchmarks.emulator``. Request bodies are built before the clock starts, so that only
sending and the emulator's own work are measured. Both share the machine.
"""

import json
import statistics
import time
from collections.abc import Iterator

import requests

from airflow_provider_cio.emulator.process import EmulatorProcess

ROUNDS = 5
BATCHES = 40
BATCH_BYTES = 490_000


def person(number: int) -> str:
    """Return an identify operation with ten attributes, as JSON."""
    attributes = {
        "email": f"person{number}@example.org",
        "first_name": f"First{number % 997}",
        "last_name": f"Last{number % 9973}",
        "plan": ("free", "basic", "premium")[number % 3],
        "created_at": 1_700_000_000 + number,
        "logins": number % 1000,
        "balance": number / 4,
        "active": number % 2 == 0,
        "city": "Lisbon",
        "referrer": None,
    }
    operation = {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": str(number)},
        "attributes": attributes,
    }
    return json.dumps(operation, separators=(",", ":"))


def batches(first: int) -> Iterator[tuple[bytes, int]]:
    """Yield request bodies just below the size limit, each with its number of operations.

    Args:
        first: Number of the first person.
    """
    number = first
    for _ in range(BATCHES):
        operations: list[str] = []
        size = len('{"batch":[]}')
        while size < BATCH_BYTES:
            operations.append(person(number))
            size += len(operations[-1]) + 1
            number += 1
        yield f'{{"batch":[{",".join(operations)}]}}'.encode(), len(operations)


def speed(emulator: EmulatorProcess, first: int) -> float:
    """Return the operations per second of one round."""
    bodies = list(batches(first))
    with requests.Session() as session:
        session.auth = emulator.auth
        started = time.perf_counter()
        for body, _ in bodies:
            session.post(f"{emulator.url}/api/v2/batch", data=body, timeout=60).raise_for_status()
        return sum(count for _, count in bodies) / (time.perf_counter() - started)


def main() -> None:
    """Print the medians of several rounds."""
    for title, count_only in (("counted", True), ("stored", False)):
        with EmulatorProcess(count_only=count_only) as emulator:
            rounds = [speed(emulator, first=number * 1_000_000) for number in range(ROUNDS)]
        print(f"{title}: {statistics.median(rounds):,.0f} operations/s, median of {ROUNDS} rounds")  # noqa: T201


if __name__ == "__main__":
    main()
