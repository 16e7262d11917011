"""Email addresses, as RFC 5322 (and RFC 6532 for other scripts) allow them.

Customer.io accepts a person whose address is invalid, and later drops the change without an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from email_validator import EmailNotValidError, validate_email

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Matches ordinary addresses. The validator accepts all of them, except for domains that are reserved for
#: tests. It decides about everything else, because it covers the whole standard, but it takes much longer.
#: The possessive quantifiers (++) avoid backtracking. The groups have none: before Python 3.11.5 a possessive
#: group that fails halfway keeps what it matched, and "a.@b.co" would pass. The group of lines can have one,
#: because it never fails after a line break.
_PATTERN = r"[\w+-]++(?:\.[\w+-]++)*@(?:[A-Za-z0-9]++(?:-[A-Za-z0-9]++)*\.)+[A-Za-z]++"
_ORDINARY = re.compile(_PATTERN, re.ASCII).fullmatch
_ORDINARY_LINES = re.compile(rf"(?:{_PATTERN}\n)++", re.ASCII).fullmatch
#: Up to this length no part of an address can be too long.
_ORDINARY_LENGTH = 64


def is_email(text: str) -> bool:
    """Return whether a text is a valid email address. It is not checked whether the mailbox exists."""
    if len(text) <= _ORDINARY_LENGTH and _ORDINARY(text):
        return True
    try:
        validate_email(
            text,
            strict=True,
            check_deliverability=False,
            globally_deliverable=False,
            allow_quoted_local=True,
            allow_domain_literal=True,
        )
    except EmailNotValidError:
        return False
    return True


def are_ordinary_emails(texts: Sequence[str]) -> bool:
    """Return whether all texts are ordinary addresses. If not, each of them may still be a valid address."""
    if max(map(len, texts)) > _ORDINARY_LENGTH:
        return False
    lines = "\n".join(texts) + "\n"
    return lines.count("\n") == len(texts) and _ORDINARY_LINES(lines) is not None
