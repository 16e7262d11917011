"""The exceptions of this package, grouped by what the caller has to do.

* SyncError
  + ConfigurationError      correct the configuration, then run again: a retry does not help
    - CredentialsError        Customer.io refuses the Site ID and the key (401, 403)
    - AddressError            the host is not a Customer.io API, or the region is the other one (404, 3xx)
    - QueryError              Postgres refuses the query, or its columns break a rule
    - SpecError               a spec is not valid (in specs.problems, with file, lines and columns)
  + TransientError          try again later: the sync itself is correct
    - RateLimitedError        Customer.io asks for fewer requests (429)
    - UnavailableError        no usable response: 408, 5xx, a timeout, a reset, an undocumented response
    - SourceUnavailableError  Postgres ended the connection or cancelled the query
    - StoppedError            the run was stopped
  + RefusedError            Customer.io refused a whole request (400): send its rows in smaller requests
    - TooLargeError           the request was too large (413)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation

__all__ = [
    "AddressError",
    "ConfigurationError",
    "CredentialsError",
    "QueryError",
    "RateLimitedError",
    "RefusedError",
    "SourceUnavailableError",
    "StoppedError",
    "SyncError",
    "TooLargeError",
    "TransientError",
    "UnavailableError",
]


class SyncError(Exception):
    """Base class of the errors that end a sync."""


# Correct the configuration, then run again.


class ConfigurationError(SyncError):
    """The configuration is wrong. The message contains the correction."""


class CredentialsError(ConfigurationError):
    """Customer.io refused the credentials."""


class AddressError(ConfigurationError):
    """The URL or the region of the workspace is wrong."""


class QueryError(ConfigurationError):
    """A query, or one of its columns, cannot be used."""


# Try again later.


class TransientError(SyncError):
    """A failure that a later attempt can overcome.

    Args:
        message: What happened.
        retry_after: The seconds to wait, if the server requested a wait.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitedError(TransientError):
    """Customer.io asked for fewer requests."""


class UnavailableError(TransientError):
    """The server sent no usable response: a timeout, a lost connection, a server error, an unknown body."""


class SourceUnavailableError(TransientError):
    """Postgres ended the connection or cancelled the query."""


class StoppedError(TransientError):
    """The run was stopped before its end."""


# Send the rows in smaller requests.


class RefusedError(SyncError):
    """Customer.io refused a whole request (400).

    Customer.io's message can quote values of a row, so it is not part of the text of this error. It belongs
    in the report.

    Args:
        field: The field that is wrong, as Customer.io names it.
        reason: Customer.io's code for the problem, such as ``invalid``.
        message: Customer.io's message.
        operations: The operations that are wrong, if the response names them.
    """

    def __init__(
        self, field: str, reason: str, message: str, operations: Sequence[RejectedOperation] = ()
    ) -> None:
        super().__init__("Customer.io refused the request")
        self.field = field
        self.reason = reason
        self.message = message
        self.operations = operations


class TooLargeError(RefusedError):
    """A request exceeded the size limit of Customer.io (413)."""

    def __init__(self) -> None:
        super().__init__("", "too_large", "Customer.io answered 413: the request is too large")
