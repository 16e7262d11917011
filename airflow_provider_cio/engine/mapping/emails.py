"""E-mail addresses as RFC 5322 (and 6532, for other scripts) allows them.

Customer.io accepts a person whose address is none, and drops the change later without a word in its answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from email_validator import EmailNotValidError, validate_email

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Ordinary addresses. What this pattern takes, the validator takes too, but for domains that are reserved for
#: tests; the rest is for the validator, which knows the standard but needs much longer.
#: Possessive quantifiers (++) spare it from trying again. Its groups have none: before Python 3.11.5 one that
#: fails halfway keeps what it took, and "a.@b.co" would pass. Lines may: none fails behind its line break.
_PATTERN = r"[\w+-]++(?:\.[\w+-]++)*@(?:[A-Za-z0-9]++(?:-[A-Za-z0-9]++)*\.)+[A-Za-z]++"
_ORDINARY = re.compile(_PATTERN, re.ASCII).fullmatch
_ORDINARY_LINES = re.compile(rf"(?:{_PATTERN}\n)++", re.ASCII).fullmatch
#: Below this length no part of an address can be too long.
_ORDINARY_LENGTH = 64


def is_email(text: str) -> bool:
    """Tell whether a text is an e-mail address; whether mail arrives there is not asked."""
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


def are_ordinary(texts: Sequence[str]) -> bool:
    """Tell at once whether many texts are all ordinary addresses; others may be addresses as well."""
    if max(map(len, texts)) > _ORDINARY_LENGTH:
        return False
    lines = "\n".join(texts) + "\n"
    return lines.count("\n") == len(texts) and _ORDINARY_LINES(lines) is not None
