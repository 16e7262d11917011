"""Delivery through lanes, into workspaces that record what they receive."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.engine.delivery.lanes import Lanes
from airflow_provider_cio.engine.delivery.verdicts import Verdicts
from airflow_provider_cio.engine.mapping.operations import Operation
from airflow_provider_cio.errors import UnavailableError
from airflow_provider_cio.track.limits import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation


class SlowWorkspace:
    """A workspace that responds slowly and records the order in which operations are applied."""

    requests = 0
    bytes_sent = 0

    def __init__(self, lanes: int, *, fail_at: int = 0) -> None:
        self.max_concurrent_requests = lanes
        self.applied: list[bytes] = []
        self.sizes: list[int] = []
        self.stopped = False
        self.in_flight = 0
        self.most_in_flight = 0
        self._fail_at = fail_at
        self._lock = threading.Lock()
        self._random = random.Random(3)  # noqa: S311 - only a spread of waits

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Wait, then apply."""
        with self._lock:
            self.requests += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            failing = self.requests == self._fail_at
        time.sleep(self._random.random() / 50)
        with self._lock:
            self.in_flight -= 1
            self.sizes.append(len(b'{"batch":[' + b",".join(operations) + b"]}"))
            self.applied += operations
        if failing:
            raise UnavailableError("no verdict")
        return []

    def stop(self) -> None:
        """Record the call."""
        self.stopped = True


def operations(people: int, rounds: int, size: int) -> list[Operation]:
    """Return operations on each person in turn, round after round, each of this size in bytes."""
    return [
        Operation(
            number * people + person + 1, f"p{person}", f"{person}:{number}:".encode().ljust(size, b"x")
        )
        for number in range(rounds)
        for person in range(people)
    ]


def deliver(workspace: SlowWorkspace, batch: list[Operation]) -> Verdicts:
    """Deliver operations and return all verdicts."""
    total = Verdicts()

    def add(verdicts: Verdicts) -> None:
        total.accepted += verdicts.accepted
        total.rejected += verdicts.rejected

    with Lanes(workspace, add) as lanes:
        lanes.send(batch)
    return total


def test_operations_on_a_person_are_applied_in_row_order() -> None:
    """Many requests are in flight at the same time, but never two with the same person."""
    workspace = SlowWorkspace(lanes=4)
    batch = operations(people=50, rounds=40, size=5_000)
    assert len(deliver(workspace, batch).accepted) == len(batch)
    assert workspace.most_in_flight > 1
    order: dict[bytes, list[int]] = {}
    for body in workspace.applied:
        person, number, _ = body.split(b":")
        order.setdefault(person, []).append(int(number))
    assert all(numbers == list(range(40)) for numbers in order.values())


def test_a_request_may_be_500000_bytes_and_is_never_larger() -> None:
    """Operations that fill a request exactly are sent together. One byte more begins another request."""
    frame = len(b'{"batch":[,]}')
    workspace = SlowWorkspace(lanes=1)
    halves = [Operation(1, "a", b"x" * 250_000), Operation(2, "b", b"x" * (BATCH_BYTES - frame - 250_000))]
    deliver(workspace, halves)
    assert workspace.sizes == [BATCH_BYTES]
    workspace = SlowWorkspace(lanes=1)
    deliver(workspace, [halves[0], Operation(2, "b", halves[1].body + b"x")])
    assert len(workspace.sizes) == 2


def test_few_rows_are_one_request() -> None:
    """Rows that fit into one request are sent in one request, however many lanes there are."""
    workspace = SlowWorkspace(lanes=8)
    assert len(deliver(workspace, operations(people=50, rounds=1, size=300)).accepted) == 50
    assert workspace.requests == 1


def test_no_operations_are_no_request() -> None:
    """A delivery without operations sends no request."""
    workspace = SlowWorkspace(lanes=8)
    assert deliver(workspace, []).accepted == []
    assert workspace.requests == 0


def test_a_batch_without_verdict_ends_the_delivery() -> None:
    """The error is raised, the workspace is stopped, and the remaining operations are not sent."""
    workspace = SlowWorkspace(lanes=2, fail_at=3)
    with pytest.raises(UnavailableError):
        deliver(workspace, operations(people=40, rounds=200, size=5_000))
    assert workspace.stopped
    assert workspace.requests < 20


class SlowAtFirst(SlowWorkspace):
    """A workspace that is slowest for the request with the first operation of a person."""

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Wait longer, if it is that one."""
        if any(body.split(b":")[1] == b"0" for body in operations):
            time.sleep(0.05)
        return super().send_batch(operations)


def test_the_last_operations_wait_for_those_before_them() -> None:
    """The remaining operations of all lanes are one request, which does not overtake a request in flight."""
    rounds = operations(people=8, rounds=17, size=30_000)
    for person in range(8):
        workspace = SlowAtFirst(lanes=8)
        deliver(workspace, [operation for operation in rounds if operation.order_key == f"p{person}"])
        assert [int(body.split(b":")[1]) for body in workspace.applied] == list(range(17))
        assert workspace.requests == 2


class SilentWorkspace(SlowWorkspace):
    """A workspace that never responds, even after it was stopped."""

    def __init__(self) -> None:
        super().__init__(lanes=8)
        self.requested = threading.Event()

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Wait for ever."""
        self.requested.set()
        threading.Event().wait()
        return super().send_batch(operations)


def test_an_error_does_not_wait_for_requests_in_flight() -> None:
    """An `execution_timeout` ends a run although requests are in flight."""
    workspace = SilentWorkspace()
    with pytest.raises(KeyboardInterrupt), Lanes(workspace, lambda _: None) as lanes:  # noqa: PT012
        lanes.send(operations(people=50, rounds=20, size=5_000))
        assert workspace.requested.wait(60)
        raise KeyboardInterrupt
    assert workspace.stopped
