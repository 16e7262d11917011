"""Delivery over HTTP: the sizes of requests, and the rows of verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from airflow_provider_cio.engine.delivery.batches import deliver
from airflow_provider_cio.engine.mapping.operations import Operation
from airflow_provider_cio.track.limits import BATCH_BYTES, ENVELOPE_BYTES, OPERATION_BYTES

if TYPE_CHECKING:
    from tests.conftest import Database, Run
    from tests.integration.conftest import LocalWorkspace

RunQuery: TypeAlias = Callable[..., "Run"]

# Customer.io takes at most 1,000 bytes of a value, so that a large row has many columns.
COLUMNS = [f"c{number}" for number in range(40)]


def operation(name: str, size: int) -> dict[str, Any]:
    """Return an operation of exactly this size in bytes."""
    attributes = dict.fromkeys(COLUMNS, "")
    made = {"type": "person", "identifiers": {"id": name}, "attributes": attributes, "action": "identify"}
    missing = size - len(encode(made))
    for column in COLUMNS:
        attributes[column] = "x" * min(missing, 1000)
        missing -= len(attributes[column])
    assert len(encode(made)) == size
    return made


def encode(made: dict[str, Any]) -> bytes:
    """Encode an operation as the engine does."""
    return json.dumps(made, separators=(",", ":")).encode()


def fill(database: Database, prefix: str, sizes: list[int]) -> str:
    """Create a table whose rows become operations of these sizes, and return the query."""
    database.execute(f"CREATE TABLE t (n int, id text, {', '.join(f'{column} text' for column in COLUMNS)})")
    with database.connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
        for number, size in enumerate(sizes):
            name = f"{prefix}{number}"
            copy.write_row([number, name, *operation(name, size)["attributes"].values()])
    return f"SELECT id, {', '.join(COLUMNS)} FROM t ORDER BY n"


# 16 operations, with the commas between them and what is around them, are 500,000 bytes.
FULL = [31_248] * 15 + [BATCH_BYTES - ENVELOPE_BYTES - 15 - 15 * 31_248]


@pytest.mark.parametrize(
    ("sizes", "requests"),
    [
        pytest.param(FULL, 1, id="exactly full"),
        pytest.param([*FULL[:-1], FULL[-1] + 1], 2, id="a byte more"),
        pytest.param([*FULL, 2_000], 2, id="a row after the full"),
        pytest.param([*FULL, *FULL, *FULL], 3, id="full after full"),
    ],
)
def test_a_request_is_filled_to_the_last_byte(
    database: Database, run: RunQuery, workspace: LocalWorkspace, sizes: list[int], requests: int
) -> None:
    """A request has up to 500,000 bytes. The next operation begins another request, and no row is lost."""
    query = fill(database, "full", sizes)
    summary = run(query, workspace.client(max_concurrent_requests=1)).summary
    assert (summary.rows_imported, summary.requests) == (len(sizes), requests)
    commas = len(sizes) - requests
    assert summary.bytes == sum(sizes) + commas + requests * ENVELOPE_BYTES


def test_a_row_of_32000_bytes_arrives_and_a_larger_one_is_rejected(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """Customer.io accepts the largest operation that is sent. A larger one is never sent."""
    query = fill(database, "row", [OPERATION_BYTES, OPERATION_BYTES + 1, 2_000])
    done = run(query, workspace.client())
    assert [(rejection.row_index, rejection.reason) for rejection in done.rejections] == [(2, "too_large")]
    assert (done.summary.rows_imported, done.summary.requests) == (2, 1)
    assert workspace.attributes(["row0", "row1", "row2"]).keys() == {"row0", "row2"}


def test_rejections_of_many_batches_are_all_kept(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """Indexes count within each request. Several errors of one row are one rejection with all messages."""
    query = fill(database, "batch", [31_000] * 100)
    database.execute("UPDATE t SET c0 = c0 || 'x', c1 = c1 || 'x' WHERE n % 7 = 3")
    done = run(query, workspace.client(max_concurrent_requests=2))
    assert sorted(rejection.row_index for rejection in done.rejections) == list(range(4, 101, 7))
    assert (done.summary.rows_imported, done.summary.rows_failed) == (86, 14)
    assert done.summary.requests > 6
    assert {(rejection.field, rejection.reason) for rejection in done.rejections} == {
        ("attributes.c0", "invalid")
    }
    assert all("; attributes.c1: property value" in rejection.message for rejection in done.rejections)
    for rejection in done.rejections:
        assert rejection.identifier == f"batch{rejection.row_index - 1}"


def test_an_index_refers_to_the_same_row_after_a_retry(
    database: Database, run: RunQuery, workspace: LocalWorkspace
) -> None:
    """A request is repeated unchanged, also when it was applied and only its response was lost."""
    query = fill(database, "retried", [1_900] * 20)
    database.execute("UPDATE t SET c0 = c0 || 'x' WHERE n IN (0, 11, 19)")
    workspace.faults(schedule=["503", {"kind": "reset", "applied": True}, "truncate"])
    done = run(query, workspace.client(max_concurrent_requests=1))
    assert [rejection.row_index for rejection in done.rejections] == [1, 12, 20]
    assert [rejection.identifier for rejection in done.rejections] == ["retried0", "retried11", "retried19"]
    assert (done.summary.rows_imported, done.summary.requests) == (17, 4)


def test_an_index_refers_to_the_same_row_after_halving(workspace: LocalWorkspace) -> None:
    """After a batch was halved, an index counts from the beginning of the half."""
    bodies = {f"half{number}": encode(operation(f"half{number}", 1_900)) for number in range(8)}
    bodies["half5"] = b"{no JSON"
    bodies["half7"] = bodies["half7"].replace(b"x" * 1000, b"x" * 1001)
    operations = [Operation(row, name, body) for row, (name, body) in enumerate(bodies.items(), 1)]
    with workspace.client() as client:
        verdicts = deliver(client, operations)
    assert [(rejected.row_index, error.field) for rejected, error in verdicts.rejected] == [
        (6, ""),
        (8, "attributes.c0"),
    ]
    assert [accepted.row_index for accepted in verdicts.accepted] == [1, 2, 3, 4, 5, 7]
    assert workspace.attributes(list(bodies)).keys() == {f"half{n}" for n in (0, 1, 2, 3, 4, 6)}


def test_a_batch_that_is_too_large_for_customerio_is_split(workspace: LocalWorkspace) -> None:
    """If the limit of Customer.io is lower than documented, all rows arrive."""
    names = [f"large{number}" for number in range(20)]
    operations = [Operation(row, name, encode(operation(name, 31_000))) for row, name in enumerate(names, 1)]
    with workspace.client() as client:
        verdicts = deliver(client, operations)
        assert client.requests == 3
    assert [accepted.row_index for accepted in verdicts.accepted] == list(range(1, 21))
    assert workspace.attributes(names).keys() == set(names)
