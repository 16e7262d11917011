"""A response of Customer.io's APIs, and the ways to read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import msgspec

from airflow_provider_cio.errors import UnavailableError

_T = TypeVar("_T")

#: What decoding raises for bytes that are not JSON, not of the type, not UTF-8, or nested too deeply.
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: An escaped surrogate without the other half of its pair.
_LONE_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


@dataclass(frozen=True)
class ApiResponse:
    """A response that has to be read to know the result: its status is 200, 207, 400, 413 or 422.

    Args:
        status: The HTTP status.
        body: The body, without compression.
    """

    status: int
    body: bytes

    def decode(self, body_type: type[_T]) -> _T:
        """Decode the JSON of the body.

        Customer.io truncates values that it quotes, sometimes in the middle of a character. Half characters
        are replaced, because the rest of the response is still valid.

        Args:
            body_type: The type that the body must have.

        Raises:
            UnavailableError: The body does not have this type.
        """
        try:
            return msgspec.json.decode(self.body, type=body_type)
        except _DECODE_ERRORS:
            repaired = ApiResponse(self.status, _replace_half_characters(self.body))
            if repaired == self:
                raise self.undocumented() from None
        return repaired.decode(body_type)

    def decode_ok(self, body_type: type[_T]) -> _T:
        """Decode the body of a 200.

        Args:
            body_type: The type that the body must have.

        Raises:
            UnavailableError: The status is not 200, or the body does not have this type.
        """
        if self.status != HTTPStatus.OK:
            raise self.undocumented()
        return self.decode(body_type)

    def body_keys(self) -> set[str]:
        """Return the keys of the JSON object in the body.

        Raises:
            UnavailableError: The body is not a JSON object.
        """
        return set(self.decode(dict[str, msgspec.Raw]))

    def undocumented(self) -> UnavailableError:
        """Return the error for a response that the API does not document. It does not count as a verdict."""
        return UnavailableError(
            f"Customer.io answered {self.status} with an undocumented body ({len(self.body):,} bytes)"
        )


def _replace_half_characters(body: bytes) -> bytes:
    return _LONE_SURROGATES.sub(rb"\\ufffd", body.decode(errors="replace").encode())
