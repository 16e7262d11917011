"""What can go wrong, grouped by what the caller should do about it.

* SyncError
  + ConfigurationError      change something, then run again: no retry helps
    - CredentialsError        Customer.io does not know this Site ID and key (401, 403)
    - AddressError            nothing of Customer.io answers here, or the region is the other one (404, 3xx)
    - QueryError              Postgres or the rules for columns refuse the query
    - SpecError               a spec cannot be used (in specs.problems, with file, lines and columns)
  + TransientError          wait, then try again: nothing is wrong with the sync
    - RateLimitedError        429; may know how long to wait
    - UnavailableError        408, 5xx, a timeout, a reset, an answer that the API does not document
    - SourceUnavailableError  Postgres went away or ended the query
    - StoppedError            the run was told to stop
  + RefusedError            a whole request was refused; its rows have to be tried in smaller requests
    - TooLargeError           413
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AddressError",
    "ConfigurationError",
    "CredentialsError",
    "QueryError",
    "RateLimitedError",
    "RefusedError",
    "RejectedOperation",
    "SourceUnavailableError",
    "StoppedError",
    "SyncError",
    "TooLargeError",
    "TransientError",
    "UnavailableError",
]


class SyncError(Exception):
    """A sync could not do its work."""


# Change something, then run again.


class ConfigurationError(SyncError):
    """Only a person can mend this; the message says how."""


class CredentialsError(ConfigurationError):
    """Customer.io refused the credentials."""


class AddressError(ConfigurationError):
    """The host, the path or the region is not the workspace's."""


class QueryError(ConfigurationError):
    """The query, or its columns, cannot be used."""


# Wait, then try again.


class TransientError(SyncError):
    """Nothing is wrong with the sync; trying again later helps."""

    retry_after: float | None = None


class RateLimitedError(TransientError):
    """Customer.io asked for fewer requests.

    Args:
        retry_after: Seconds to wait, when Customer.io said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(TransientError):
    """No verdict came: a timeout, a broken connection, a server error, or an undocumented answer.

    Args:
        retry_after: Seconds to wait, when the answer said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SourceUnavailableError(TransientError):
    """Postgres went away, or ended the query."""


class StoppedError(TransientError):
    """The run was told to stop before its end."""


# The rows.


class RejectedOperation(msgspec.Struct, frozen=True):
    """Customer.io's word on one operation of a batch. It may leave out any of the texts."""

    batch_index: int = -1
    reason: str = ""
    field: str = ""
    message: str = ""


class RefusedError(SyncError):
    """A whole request was refused (400).

    Customer.io's sentence can quote values, so it is not the text of the error: it is for the report.

    Args:
        field: The field at fault, as Customer.io names it.
        reason: Customer.io's word for it, such as ``invalid``.
        message: Customer.io's sentence.
        items: The operations that are at fault, when the answer says which.
    """

    def __init__(
        self, field: str, reason: str, message: str, items: Sequence[RejectedOperation] = ()
    ) -> None:
        super().__init__("Customer.io refused the request")
        self.field = field
        self.reason = reason
        self.message = message
        self.items = items


class TooLargeError(RefusedError):
    """A request was larger than Customer.io takes (413)."""

    def __init__(self) -> None:
        super().__init__("", "too_large", "Customer.io answered 413: the request is too large")
