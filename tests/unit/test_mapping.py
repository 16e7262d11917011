"""From rows to operations."""

from __future__ import annotations

import json
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from airflow_provider_cio.engine import PeopleQuery, Rejection
from airflow_provider_cio.engine.people import PeopleMapper
from airflow_provider_cio.engine.source import Column
from airflow_provider_cio.errors import QueryError

ID = Column("id", "int8")
EMAIL = Column("email", "text")
PLAN = Column("plan", "text")


class Mapped:
    """Rows mapped to operations, decoded, and the rejections."""

    def __init__(self, columns: list[Column], rows: list[tuple[Any, ...]], **options: Any) -> None:
        self.rejections: list[Rejection] = []
        query = PeopleQuery(sql="", identify_by=options.pop("identify_by", None))
        mapper = PeopleMapper(query, columns, options.pop("nulls", "remove"), self.rejections.append)
        self.operations = [json.loads(operation.body) for operation in mapper.operations(rows)]


def test_a_row_becomes_an_identify_operation() -> None:
    """The id is the identifier and a text; every other column is an attribute under its exact name."""
    mapped = Mapped([ID, EMAIL, Column("Plan", "text")], [(7, "a@b.co", "pro")])
    assert mapped.operations == [
        {
            "type": "person",
            "identifiers": {"id": "7"},
            "attributes": {"email": "a@b.co", "Plan": "pro"},
            "action": "identify",
        }
    ]


def test_a_row_without_id_is_identified_by_email() -> None:
    """By default the e-mail address serves where the id is NULL, and is no attribute then."""
    mapped = Mapped([ID, EMAIL, PLAN], [(None, "a@b.co", "pro")])
    assert mapped.operations[0]["identifiers"] == {"email": "a@b.co"}
    assert mapped.operations[0]["attributes"] == {"plan": "pro"}


def test_identify_by_email_makes_the_id_an_attribute() -> None:
    """The other identifier travels as an attribute, as text."""
    mapped = Mapped([ID, EMAIL], [(7, "a@b.co")], identify_by="email")
    assert mapped.operations[0]["identifiers"] == {"email": "a@b.co"}
    assert mapped.operations[0]["attributes"] == {"id": "7"}


@pytest.mark.parametrize(("nulls", "expected"), [("remove", {"plan": None}), ("skip", {})])
def test_null_removes_or_skips_an_attribute_but_never_an_identifier(
    nulls: str, expected: dict[str, None]
) -> None:
    """`nulls` decides about attributes; a NULL e-mail address is left out whatever it says."""
    mapped = Mapped([ID, EMAIL, PLAN], [(7, None, None)], nulls=nulls)
    assert mapped.operations[0]["attributes"] == expected


def test_a_row_without_any_identifier_is_rejected() -> None:
    """The rejection names the row and the field; the rows around it are sent."""
    mapped = Mapped([ID, PLAN], [(1, "a"), (None, "b"), (3, "c")])
    assert [operation["identifiers"]["id"] for operation in mapped.operations] == ["1", "3"]
    assert mapped.rejections == [
        Rejection("people", 2, "", "identifiers.id", "required", "the row has no id and no email")
    ]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (("x" * 151, None), "identifiers.id", "invalid"),
        (("é" * 76, None), "identifiers.id", "invalid"),
        (("  ", None), "identifiers.id", "required"),
        (("7", "not an address"), "attributes.email", "invalid"),
        (("7", ""), "attributes.email", "required"),
        ((None, "not an address"), "identifiers.email", "invalid"),
    ],
)
def test_an_identifier_that_customerio_would_drop_is_rejected(
    row: tuple[Any, ...], field: str, reason: str
) -> None:
    """Length is counted in bytes; an address has to be one; blank is not NULL."""
    (rejection,) = Mapped([Column("id", "text"), EMAIL], [row]).rejections
    assert (rejection.field, rejection.reason) == (field, reason)


def test_an_id_of_exactly_150_bytes_is_sent() -> None:
    """The limit itself is allowed."""
    assert not Mapped([Column("id", "text")], [("é" * 75,)]).rejections


def test_an_operation_may_be_32000_bytes_and_not_one_more() -> None:
    """A larger operation would spoil its batch."""
    frame = len(json.dumps(Mapped([ID, PLAN], [(1, "")]).operations[0], separators=(",", ":")))
    fits = "x" * (32_000 - frame)
    mapped = Mapped([ID, PLAN], [(1, fits), (2, fits + "x")])
    assert len(mapped.operations) == 1
    assert mapped.rejections[0].reason == "too_large"


def test_numbers_are_exact_and_what_is_no_number_counts_as_null() -> None:
    """Numerics keep every digit; NaN and infinity have no JSON."""
    columns = [ID, Column("n", "numeric"), Column("f", "float8"), Column("a", "float8", array=True)]
    big = Decimal("12345678901234567890.123456789")
    mapper = PeopleMapper(PeopleQuery(sql=""), columns, "remove", print)
    (operation,) = mapper.operations([(1, big, 0.1, [1.5])])
    assert b'"n":12345678901234567890.123456789,"f":0.1,"a":[1.5]' in operation.body
    mapped = Mapped(columns, [(1, Decimal("NaN"), inf, [nan, 2.0])])
    assert mapped.operations[0]["attributes"] == {"n": None, "f": None, "a": [None, 2.0]}
    mapped = Mapped(columns, [(1, Decimal("-Infinity"), nan, [1.0])], nulls="skip")
    assert mapped.operations[0]["attributes"] == {"a": [1.0]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([PLAN], "no column id or email"),
        ([ID, Column("Email", "text")], '"Email" AS email'),
        ([ID, PLAN, PLAN], '"plan" is the name of 2 columns'),
        ([ID, Column("cio_id", "text")], '"cio_id" AS "cio_id_value"'),
        ([ID, Column("_update", "bool")], '"_update" AS "update_value"'),
        ([ID, Column("?column?", "int4")], "give it one"),
        ([Column("id", "float8")], "id::text AS id"),
        ([ID, Column('a"b', "text")], "rename it with AS"),
        ([ID, *[Column(f"c{n}", "text") for n in range(300)]], "301 columns"),
    ],
)
def test_columns_that_customerio_would_misread_are_refused_with_a_remedy(
    columns: list[Column], message: str
) -> None:
    """Nothing is sent; the message names the column and what mends it."""
    with pytest.raises(QueryError, match=message.replace("?", r"\?")):
        Mapped(columns, [])


def test_300_columns_work() -> None:
    """Customer.io's limit on columns is itself allowed."""
    columns = [ID, *[Column(f"c{n}", "int4") for n in range(299)]]
    assert len(Mapped(columns, [(1, *range(299))]).operations[0]["attributes"]) == 299


def test_columns_beside_the_id_are_optional() -> None:
    """A query may select nothing but the id, or one column more."""
    assert Mapped([ID], [(1,)]).operations[0]["attributes"] == {}
    assert Mapped([ID, PLAN], [(1, "x")]).operations[0]["attributes"] == {"plan": "x"}
