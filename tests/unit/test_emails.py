"""Email addresses."""

import pytest
from email_validator import validate_email

from airflow_provider_cio.engine.mapping import emails


@pytest.mark.parametrize(
    "address",
    [
        "a@b.co",
        "first.last+tag@mail.example.com",
        '"quoted local"@example.com',
        "a@intranet",
        "jörg@exämple.de",
        "x@[127.0.0.1]",
    ],
)
def test_addresses_of_rfc_5322_are_valid(address: str) -> None:
    """Addresses that the standard allows are valid, including the rare forms."""
    assert emails.is_email(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "plain",
        "@example.com",
        "a@",
        "a@b@c.com",
        "a b@example.com",
        "a..b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a@example-.com",
        "a@-example.com",
        "a@example..com",
        "A <a@example.com>",
        "a@example.com,b@example.com",
        f"{'a' * 65}@example.com",
        "a@example.com\n",
    ],
)
def test_other_texts_are_not_valid(address: str) -> None:
    """Texts that Customer.io would accept and drop later are not valid."""
    assert not emails.is_email(address)


def test_the_quick_pattern_matches_only_valid_addresses() -> None:
    """The pattern is only a shortcut: the validator accepts all addresses that it matches."""
    locals_ = ["a", "a.b", "A-1", "x_y+z", "a" * 40, "1"]
    domains = ["b.co", "b-c.example", "a1.b2.museum", "x.Y", "0.de", f"{'d' * 15}.org"]
    for address in (f"{local}@{domain}" for local in locals_ for domain in domains):
        assert emails._ORDINARY(address), address  # noqa: SLF001 - it is the subject
        validate_email(address, check_deliverability=False, globally_deliverable=False)


@pytest.mark.parametrize("odd", ["a@b.co\n", "a@b.co\nc@d.co", "a.@b.co", f"{'a' * 65}@b.co", "ü@b.co", ""])
def test_a_column_is_ordinary_only_if_each_address_is(odd: str) -> None:
    """A text that the pattern does not match by itself is also found between other addresses."""
    assert emails.are_ordinary_emails(["a@b.co", "c@d.co"])
    assert not emails.are_ordinary_emails(["a@b.co", odd, "c@d.co"])
    assert not emails.are_ordinary_emails([odd])
