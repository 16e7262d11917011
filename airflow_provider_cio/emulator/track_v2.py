"""The Track API v2: single operations and batches of them."""

import msgspec
from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_cio.emulator.counters import Counters
from airflow_provider_cio.emulator.limits import MAX_BATCH_BYTES, MAX_OPERATION_BYTES, Problem, RejectedError
from airflow_provider_cio.emulator.operation_json import UNREADABLE, parse_operation, problem
from airflow_provider_cio.emulator.responses import HEADERS, json_answer
from airflow_provider_cio.emulator.store import Store
from airflow_provider_cio.emulator.workspace import Workspace


class Batch(Struct):
    """A request body of operations, each still as it was sent."""

    batch: list[Raw]


class BatchError(Struct):
    """One problem of the operation at `batch_index`, counted from 0."""

    batch_index: int
    reason: str
    field: str
    message: str


_batch = msgspec.json.Decoder(Batch)


class TrackV2:
    """The endpoints of v2, applying operations in the order of the batch.

    Args:
        store: The transaction of a batch.
        workspace: Where operations go; None to count them without a look inside.
        counters: Told what became of the operations.
    """

    def __init__(self, store: Store, workspace: Workspace | None, counters: Counters) -> None:
        self._store = store
        self._workspace = workspace
        self._counters = counters

    async def batch(self, request: Request) -> Response:
        """``POST /api/v2/batch``: at most 500,000 bytes."""
        body = await request.body()
        if len(body) > MAX_BATCH_BYTES:
            return too_large(MAX_BATCH_BYTES)
        try:
            items = _batch.decode(body).batch
        except msgspec.ValidationError as error:
            return malformed(problem(error))
        except UNREADABLE:
            return malformed(Problem("invalid", "", "request body is not valid JSON"))
        if not items:
            return malformed(Problem("required", "batch", "batch is required"))
        if self._workspace is None:
            self._counters.operations += len(items)
            return accepted()
        return self._answer(self._apply(items, self._workspace), len(items))

    async def entity(self, request: Request) -> Response:
        """``POST /api/v2/entity``: one operation of at most 32,000 bytes."""
        body = await request.body()
        if len(body) > MAX_OPERATION_BYTES:
            return too_large(MAX_OPERATION_BYTES)
        if self._workspace is None:
            self._counters.operations += 1
            return accepted()
        try:
            operation = parse_operation(body)
        except RejectedError as rejection:
            self._counters.rejected += 1
            return malformed(*rejection.problems)
        with self._store.transaction():
            self._workspace.apply(operation)
        self._counters.operations += 1
        return accepted()

    def _apply(self, items: list[Raw], workspace: Workspace) -> list[BatchError]:
        """Apply the valid operations in one transaction; the problems of the others are returned."""
        errors: list[BatchError] = []
        with self._store.transaction():
            for index, item in enumerate(items):
                try:
                    operation = parse_operation(item)
                except RejectedError as rejection:
                    errors += [BatchError(index, p.reason, p.field, p.message) for p in rejection.problems]
                else:
                    workspace.apply(operation)
        return errors

    def _answer(self, errors: list[BatchError], items: int) -> Response:
        """200, or 207 with the problems, even if no operation was good."""
        rejected = len({error.batch_index for error in errors})
        self._counters.rejected += rejected
        self._counters.operations += items - rejected
        return json_answer({"errors": errors}, 207) if errors else accepted()


def accepted() -> Response:
    """The answer to a request without problems."""
    return Response(
        b"{}\n", headers=HEADERS | {"status": "200 OK"}, media_type="application/json; charset=utf-8"
    )


def malformed(*problems: Problem) -> Response:
    """The refusal of a whole request."""
    return json_answer({"errors": problems}, 400)


def too_large(limit: int) -> Response:
    """The refusal of a body over the limit; Customer.io's is unknown, so this is not JSON."""
    return Response(f"Request Entity Too Large: more than {limit} bytes\n", 413, media_type="text/plain")
