"""The Track API v2: single operations, and batches of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct
from starlette.responses import Response

from airflow_provider_cio.emulator.limits import MAX_BATCH_BYTES, MAX_OPERATION_BYTES
from airflow_provider_cio.emulator.operation_json import parse_operation, to_problem
from airflow_provider_cio.emulator.responses import HEADERS, JSON_MEDIA_TYPE, json_response
from airflow_provider_cio.emulator.validation import UNREADABLE, Problem, RejectedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_cio.emulator.counters import Counters
    from airflow_provider_cio.emulator.store import Store
    from airflow_provider_cio.emulator.workspace import Workspace


class Batch(Struct):
    """The body of a batch request. Its operations are not parsed yet."""

    batch: list[Raw]


class BatchError(Struct):
    """A problem of the operation at `batch_index`, counted from 0."""

    batch_index: int
    reason: str
    field: str
    message: str


_decode_batch = msgspec.json.Decoder(Batch).decode


@dataclass(frozen=True)
class TrackV2:
    """The endpoints of v2. Operations are applied in the order of the batch.

    Args:
        store: Holds the workspace; each request is one transaction.
        workspace: Applies operations to the store; None counts them without parsing them.
        counters: Count accepted and rejected operations.
    """

    store: Store
    workspace: Workspace | None
    counters: Counters

    async def batch(self, request: Request) -> Response:
        """``POST /api/v2/batch``: at most 500,000 bytes."""
        body = await request.body()
        if len(body) > MAX_BATCH_BYTES:
            return _too_large_response(MAX_BATCH_BYTES)
        try:
            items = _decode_batch(body).batch
        except msgspec.ValidationError as error:
            return _malformed_response(to_problem(error))
        except UNREADABLE:
            return _malformed_response(Problem("invalid", "", "request body is not valid JSON"))
        if not items:
            return _malformed_response(Problem("required", "batch", "batch is required"))
        if self.workspace is None:
            self.counters.operations += len(items)
            return accepted_response()
        return self._batch_response(self._apply(items, self.workspace), len(items))

    async def entity(self, request: Request) -> Response:
        """``POST /api/v2/entity``: one operation of at most 32,000 bytes."""
        body = await request.body()
        if len(body) > MAX_OPERATION_BYTES:
            return _too_large_response(MAX_OPERATION_BYTES)
        if self.workspace is None:
            self.counters.operations += 1
            return accepted_response()
        try:
            operation = parse_operation(body)
        except RejectedError as rejection:
            self.counters.rejected += 1
            return _malformed_response(*rejection.problems)
        with self.store.transaction():
            self.workspace.apply(operation)
        self.counters.operations += 1
        return accepted_response()

    def _apply(self, items: list[Raw], workspace: Workspace) -> list[BatchError]:
        """Apply the valid operations in one transaction, and return the problems of the others."""
        errors: list[BatchError] = []
        with self.store.transaction():
            for index, item in enumerate(items):
                try:
                    operation = parse_operation(item)
                except RejectedError as rejection:
                    errors += [BatchError(index, p.reason, p.field, p.message) for p in rejection.problems]
                else:
                    workspace.apply(operation)
        return errors

    def _batch_response(self, errors: list[BatchError], items: int) -> Response:
        """Return 200, or 207 with the problems, even if every operation has one."""
        rejected = len({error.batch_index for error in errors})
        self.counters.rejected += rejected
        self.counters.operations += items - rejected
        return json_response({"errors": errors}, 207) if errors else accepted_response()


def accepted_response() -> Response:
    """Return the response to a request without problems."""
    return Response(b"{}\n", headers=HEADERS | {"status": "200 OK"}, media_type=JSON_MEDIA_TYPE)


def _malformed_response(*problems: Problem) -> Response:
    """Return the refusal of a whole request."""
    return json_response({"errors": problems}, 400)


def _too_large_response(limit: int) -> Response:
    """Return the refusal of a body above the limit. Customer.io's is not documented; this one is not JSON."""
    return Response(f"Request Entity Too Large: more than {limit} bytes\n", 413, media_type="text/plain")
