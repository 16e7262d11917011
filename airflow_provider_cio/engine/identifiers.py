"""What names a person or an object, checked as Customer.io would, before it drops a row without a word."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from airflow_provider_cio.engine.emails import is_email
from airflow_provider_cio.track.limits import IDENTIFIER_BYTES


class UnsendableError(Exception):
    """A row cannot be sent.

    Args:
        field: What is at fault, as a path: ``identifiers.id``, ``attributes.email``.
        reason: ``required``, ``invalid`` or ``too_large``.
        message: A sentence for people.
    """

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


def identifier_text(name: str, value: Any, path: str = "identifiers") -> str:
    """Check an identifier and return it as text.

    Args:
        name: Its column: ``id``, ``email`` or ``object_id``.
        value: Its value.
        path: Where it goes: among the identifiers, or the attributes.

    Raises:
        UnsendableError: It is NULL, blank, too long, or no e-mail address.
    """
    if isinstance(value, int) and name != "email":
        return str(value)
    text: str = value
    if not isinstance(value, str):
        if value is None:
            raise UnsendableError(f"{path}.{name}", "required", f"the row has no {name}")
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if not text or text.isspace():
        raise UnsendableError(f"{path}.{name}", "required", f"{name} is blank; for none, NULLIF({name}, '')")
    if len(text) * 4 > IDENTIFIER_BYTES and len(text.encode()) > IDENTIFIER_BYTES:
        raise UnsendableError(f"{path}.{name}", "invalid", f"{name} is longer than {IDENTIFIER_BYTES} bytes")
    if name == "email" and not is_email(text):
        raise UnsendableError(f"{path}.{name}", "invalid", "email is no address by RFC 5322")
    return text
