"""The documented limits of Customer.io, and the attributes that break them.

All are bytes of UTF-8. Whether a documented "kb" is 1000 or 1024 bytes is open; the emulator is strict.
"""

from collections.abc import Iterator

from msgspec import Struct

from airflow_provider_cio.emulator.operations import Attributes

MAX_BATCH_BYTES = 500_000
MAX_OPERATION_BYTES = 32_000
MAX_ID_BYTES = 150
MAX_NAME_BYTES = 150
MAX_VALUE_BYTES = 1_000
MAX_ATTRIBUTES = 300
MAX_DOCUMENT_BYTES = 100_000
MAX_EVENT_NAME_BYTES = 100
MAX_EVENT_DATA_BYTES = 100_000

VALUE_TOO_LONG = f"property value cannot be longer than {MAX_VALUE_BYTES} bytes"


class Problem(Struct, frozen=True):
    """One thing that is wrong with an operation, as the Track API v2 reports it."""

    reason: str
    field: str
    message: str


class RejectedError(Exception):
    """An operation that Customer.io would refuse, with every problem found in it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


def invalid(field: str, message: str) -> RejectedError:
    """The refusal of a value that is there but wrong."""
    return RejectedError(Problem("invalid", field, message))


def required(field: str) -> RejectedError:
    """The refusal of a value that is missing."""
    return RejectedError(Problem("required", field, f"{field} is required"))


def longer_than(text: str, limit: int) -> bool:
    """Whether the text takes more than `limit` bytes of UTF-8."""
    return len(text.encode()) > limit


def attribute_problems(attributes: Attributes, path: str) -> Iterator[Problem]:
    """Every limit that the attributes of one request break; `path` leads to them."""
    if len(attributes) > MAX_ATTRIBUTES:
        yield Problem(
            "invalid", path, f"cannot identify more than {MAX_ATTRIBUTES} attributes in one request"
        )
    for name, value in attributes.items():
        # Most texts are far from their limit: a character takes four bytes at most.
        if len(name) * 4 > MAX_NAME_BYTES and longer_than(name, MAX_NAME_BYTES):
            message = f"attribute name cannot be longer than {MAX_NAME_BYTES} bytes"
            yield Problem("invalid", f"{path}.{name}", message)
        if value and len(value) * 4 > MAX_VALUE_BYTES and longer_than(value, MAX_VALUE_BYTES):
            yield Problem("invalid", f"{path}.{name}", VALUE_TOO_LONG)
