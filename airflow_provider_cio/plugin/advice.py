"""What to do about rejected rows, by reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """What a reason means.

    Args:
        reason: The word in the report.
        meaning: What is wrong.
        steps: What to do.
    """

    reason: str
    meaning: str
    steps: str


ADVICE = (
    Advice(
        "required",
        "The row has no identifier, or another value that Customer.io needs is missing.",
        "Exclude such rows in the query, for example with WHERE id IS NOT NULL, or fill in the value at"
        " the source.",
    ),
    Advice(
        "invalid",
        "The value does not have the form that Customer.io accepts. An e-mail address must follow RFC 5322,"
        " and an identifier has at most 150 bytes.",
        "Correct the value at the source, or leave it out with a CASE expression in the query.",
    ),
    Advice(
        "too_large",
        "The row is larger than the 32,000 bytes that Customer.io takes for one person, object or"
        " relationship.",
        "Select fewer or shorter columns. Long texts and nested JSON are the usual cause.",
    ),
    Advice(
        "duplicate",
        "Two rows of the query have the same e-mail address under different ids. The first row keeps it.",
        "Make addresses unique in the query, for example with DISTINCT ON (lower(email)).",
    ),
    Advice(
        "failed_attribute_change",
        "Customer.io accepted the row and then did not change the attribute. Usually the e-mail address or"
        " the id belongs to another person already.",
        "Merge the two people in Customer.io, or correct the address at the source. The workspace setting"
        " “Allow updates to email using ID” lets a sync change addresses.",
    ),
)
#: A reason of Customer.io's own that is not in the list.
OTHER = Advice(
    "other",
    "Customer.io refused the row for a reason of its own.",
    "Read its message, then correct the row at the source or exclude it in the query.",
)
_BY_REASON = {advice.reason: advice for advice in ADVICE}


def advice_for(reason: str) -> Advice:
    """Return what to do about a reason."""
    return _BY_REASON.get(reason, OTHER)
