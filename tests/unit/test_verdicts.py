"""Verdicts on batches, for every kind of response of the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from airflow_provider_cio.engine.delivery.batches import deliver
from airflow_provider_cio.engine.delivery.lanes import Lanes
from airflow_provider_cio.engine.delivery.refusal_limit import LATER_REFUSALS, RefusalLimit
from airflow_provider_cio.engine.delivery.verdicts import Verdicts
from airflow_provider_cio.engine.mapping.operations import Operation
from airflow_provider_cio.errors import (
    ConfigurationError,
    RefusedError,
    SyncError,
    TooLargeError,
    UnavailableError,
)
from airflow_provider_cio.track.rejected_operation import RejectedOperation

Answer = Callable[[Sequence[bytes]], list[RejectedOperation]]


class ScriptedWorkspace:
    """A workspace whose responses a test defines."""

    requests = 0
    bytes_sent = 0

    def __init__(self, answer: Answer, lanes: int = 1) -> None:
        self.max_concurrent_requests = lanes
        self._answer = answer
        self.sent: list[list[bytes]] = []

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Note the request and answer."""
        self.sent.append(list(operations))
        return self._answer(operations)

    def stop(self) -> None:
        """Do nothing: no request waits."""


def batch(count: int) -> list[Operation]:
    """Return operations with the bodies 0, 1, 2 and so on."""
    return [Operation(number + 1, str(number), str(number).encode()) for number in range(count)]


def test_without_errors_all_are_accepted() -> None:
    """A response without errors accepts all operations."""
    assert len(deliver(ScriptedWorkspace(lambda _: []), batch(3)).accepted) == 3


def test_errors_are_matched_by_index_and_several_of_one_row_count_once() -> None:
    """Errors may come in any order. Several errors of one operation are one rejection."""
    errors = [
        RejectedOperation(2, "invalid", "b", "B"),
        RejectedOperation(0, "required", "x", "X"),
        RejectedOperation(2, "invalid", "a", "A"),
    ]
    verdicts = deliver(ScriptedWorkspace(lambda _: errors), batch(3))
    assert len(verdicts.accepted) == 1
    assert [(operation.row_index, error.message) for operation, error in verdicts.rejected] == [
        (1, "X"),
        (3, "B; a: A"),
    ]


def test_a_refused_batch_is_halved_down_to_the_bad_row() -> None:
    """A row for which Customer.io refuses a batch does not affect the other rows, which keep their order."""

    def answer(operations: Sequence[bytes]) -> list[RejectedOperation]:
        if b"5" in operations:
            raise RefusedError("attributes.x", "invalid", "no")
        return []

    workspace = ScriptedWorkspace(answer)
    verdicts = deliver(workspace, batch(8))
    assert len(verdicts.accepted) == 7
    assert [(operation.row_index, error.message) for operation, error in verdicts.rejected] == [(6, "no")]
    accepted = [body for request in workspace.sent if b"5" not in request for body in request]
    assert accepted == [b"0", b"1", b"2", b"3", b"4", b"6", b"7"]


def test_a_refusal_that_names_operations_sends_the_others_again() -> None:
    """A 400 accepts nothing, so the operations that it does not name are sent again."""

    def answer(operations: Sequence[bytes]) -> list[RejectedOperation]:
        if b"1" in operations:
            raise RefusedError("f", "invalid", "no", [RejectedOperation(1, "invalid", "f", "no")])
        return []

    workspace = ScriptedWorkspace(answer)
    verdicts = deliver(workspace, batch(3))
    assert workspace.sent == [[b"0", b"1", b"2"], [b"0", b"2"]]
    assert (len(verdicts.accepted), len(verdicts.rejected)) == (2, 1)


def test_refusals_that_name_one_operation_each_end() -> None:
    """Two thousand bad rows, each named in a response of its own, are two thousand rejections."""

    def answer(operations: Sequence[bytes]) -> list[RejectedOperation]:
        if operations:
            raise RefusedError("f", "invalid", "no", [RejectedOperation(0, "invalid", "f", "no")])
        return []

    assert len(deliver(ScriptedWorkspace(answer), batch(2000)).rejected) == 2000


def test_a_batch_that_is_too_large_is_split() -> None:
    """A batch is split after a 413. A single operation that is still too large is rejected."""

    def answer(operations: Sequence[bytes]) -> list[RejectedOperation]:
        if len(operations) > 2 or b"3" in operations:
            raise TooLargeError
        return []

    verdicts = deliver(ScriptedWorkspace(answer), batch(5))
    assert len(verdicts.accepted) == 4
    assert [(operation.row_index, error.reason) for operation, error in verdicts.rejected] == [
        (4, "too_large")
    ]


def send(workspace: ScriptedWorkspace, operations: list[Operation]) -> tuple[Verdicts, Exception]:
    """Deliver operations until an error is raised. Return the verdicts and the error."""
    seen = Verdicts()

    def add(verdicts: Verdicts) -> None:
        seen.accepted += verdicts.accepted
        seen.rejected += verdicts.rejected

    with pytest.raises(SyncError) as error, Lanes(workspace, add) as lanes:
        lanes.send(operations)
    return seen, error.value


def refuse(operations: Sequence[bytes]) -> list[RejectedOperation]:
    """Refuse everything with the same message, except for the number of the request."""
    raise RefusedError("", "invalid", f"bad request, id {hash(tuple(operations)):x}7")


def refuse_the_first(_: Sequence[bytes]) -> list[RejectedOperation]:
    """Reject the first operation of every batch."""
    raise RefusedError("", "invalid", "no", [RejectedOperation(0, "invalid", "", "no")])


def too_large(_: Sequence[bytes]) -> list[RejectedOperation]:
    """Refuse everything as too large."""
    raise TooLargeError


@pytest.mark.parametrize("lanes", [1, 8, 64])
@pytest.mark.parametrize("answer", [refuse, refuse_the_first, too_large])
def test_a_workspace_that_refuses_everything_is_a_configuration_error(answer: Answer, lanes: int) -> None:
    """A gateway may refuse everything: the run stops soon, and the first rows are in the report."""
    workspace = ScriptedWorkspace(answer, lanes)
    rows = [Operation(n, str(n), str(n).encode().ljust(5000)) for n in range(1, 3001)]
    seen, error = send(workspace, rows)
    assert isinstance(error, ConfigurationError)
    assert "bad request" not in str(error)
    assert 20 <= len(seen.rejected) <= 20 + lanes
    assert seen.accepted == []
    assert len(workspace.sent) < 100 + 10 * lanes


def test_a_workspace_that_refuses_everything_later_in_a_run_ends_it() -> None:
    """When refusals begin after rows were accepted, the run stops before it sends every row by itself."""

    def answer(operations: Sequence[bytes]) -> list[RejectedOperation]:
        if int(operations[-1]) > 100:
            raise RefusedError("", "invalid", "no")
        return []

    refusal_limit = RefusalLimit()
    assert deliver(ScriptedWorkspace(answer), batch(100), refusal_limit).error is None
    workspace = ScriptedWorkspace(answer)
    rows = [Operation(n, str(n), str(n).encode()) for n in range(101, 5000)]
    verdicts = deliver(workspace, rows, refusal_limit)
    assert isinstance(verdicts.error, ConfigurationError)
    assert len(verdicts.rejected) == LATER_REFUSALS
    assert len(workspace.sent) < 3 * LATER_REFUSALS


def test_rows_that_are_refused_beside_others_are_rejections() -> None:
    """Every row is tried where a row was accepted before, or where the errors differ."""

    def answer(operations: Sequence[bytes]) -> list[RejectedOperation]:
        if any(int(body) >= 1 for body in operations):
            raise RefusedError("", "invalid", "no")
        return []

    verdicts = deliver(ScriptedWorkspace(answer), batch(100), RefusalLimit())
    assert (len(verdicts.accepted), len(verdicts.rejected), verdicts.error) == (1, 99, None)

    def two_reasons(operations: Sequence[bytes]) -> list[RejectedOperation]:
        raise RefusedError("", "even" if int(operations[0]) % 2 else "odd", "no")

    verdicts = deliver(ScriptedWorkspace(two_reasons), batch(100), RefusalLimit())
    assert (len(verdicts.rejected), verdicts.error) == (100, None)


def test_verdicts_before_an_error_count() -> None:
    """Rows that were accepted before the workspace became unavailable count as imported."""

    def answer(operations: Sequence[bytes]) -> list[RejectedOperation]:
        if len(operations) > 4:
            raise RefusedError("", "invalid", "no")
        if b"4" in operations:
            raise UnavailableError("gone")
        return []

    seen, error = send(ScriptedWorkspace(answer), batch(8))
    assert isinstance(error, UnavailableError)
    assert [operation.row_index for operation in seen.accepted] == [1, 2, 3, 4]
