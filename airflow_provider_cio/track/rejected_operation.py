"""An operation that Customer.io rejected."""

from __future__ import annotations

import msgspec


class RejectedOperation(msgspec.Struct, frozen=True):
    """One operation of a batch that Customer.io rejected. The response may omit any of the texts.

    Args:
        batch_index: The index of the operation in its batch, from 0; -1 if the response has none.
        reason: A short code, such as ``invalid``.
        field: The path of the field that is wrong, such as ``attributes.plan``.
        message: A sentence. It can quote the value, so it belongs in the report and never in a log.
    """

    batch_index: int = -1
    reason: str = ""
    field: str = ""
    message: str = ""
