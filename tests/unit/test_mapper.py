"""Rows of people become operations."""

from __future__ import annotations

import json
import resource
from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from airflow_provider_cio.engine import PeopleQuery, Rejection
from airflow_provider_cio.engine.mapping.people import PeopleMapper
from airflow_provider_cio.engine.value_text import value_text
from airflow_provider_cio.errors import QueryError
from tests.columns import column

if TYPE_CHECKING:
    from airflow_provider_cio.engine.sources import Column

ID = column("id", "int8")
EMAIL = column("email", "text")
PLAN = column("plan", "text")


class MappedRows:
    """The decoded operations of some rows, and the rejections."""

    def __init__(self, columns: list[Column], rows: list[tuple[Any, ...]], **options: Any) -> None:
        self.rejections: list[Rejection] = []
        query = PeopleQuery(sql="", identify_by=options.pop("identify_by", None))
        mapper = PeopleMapper(query, columns, options.pop("nulls", "remove"), self.rejections.append)
        self.operations = [json.loads(operation.body) for operation in mapper.to_operations(rows)]


def test_a_row_becomes_an_identify_operation() -> None:
    """The id is sent as text. Every other column is an attribute with exactly its name."""
    mapped = MappedRows([ID, EMAIL, column("Plan", "text")], [(7, "a@b.co", "pro")])
    assert mapped.operations == [
        {
            "type": "person",
            "identifiers": {"id": "7"},
            "attributes": {"email": "a@b.co", "Plan": "pro"},
            "action": "identify",
        }
    ]


def test_a_row_without_id_is_identified_by_email() -> None:
    """By default, the email address identifies a row whose id is NULL, and is then not an attribute."""
    mapped = MappedRows([ID, EMAIL, PLAN], [(None, "a@b.co", "pro")])
    assert mapped.operations[0]["identifiers"] == {"email": "a@b.co"}
    assert mapped.operations[0]["attributes"] == {"plan": "pro"}


def test_identify_by_email_makes_the_id_an_attribute() -> None:
    """The other identifier is sent as an attribute, as text."""
    mapped = MappedRows([ID, EMAIL], [(7, "a@b.co")], identify_by="email")
    assert mapped.operations[0]["identifiers"] == {"email": "a@b.co"}
    assert mapped.operations[0]["attributes"] == {"id": "7"}


@pytest.mark.parametrize(("nulls", "expected"), [("remove", {"plan": None}), ("skip", {})])
def test_null_removes_or_skips_an_attribute_but_never_an_identifier(
    nulls: str, expected: dict[str, None]
) -> None:
    """`nulls` applies to attributes only. A NULL email address is never sent."""
    mapped = MappedRows([ID, EMAIL, PLAN], [(7, None, None)], nulls=nulls)
    assert mapped.operations[0]["attributes"] == expected


def test_a_row_without_any_identifier_is_rejected() -> None:
    """The rejection has the row index and the field. The rows around it are sent."""
    mapped = MappedRows([ID, PLAN], [(1, "a"), (None, "b"), (3, "c")])
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
    """Length is counted in bytes, an email address must be valid, and a blank text is not NULL."""
    (rejection,) = MappedRows([column("id", "text"), EMAIL], [row]).rejections
    assert (rejection.field, rejection.reason) == (field, reason)


def test_an_id_of_exactly_150_bytes_is_sent() -> None:
    """150 bytes are allowed."""
    assert not MappedRows([column("id", "text")], [("é" * 75,)]).rejections


def test_an_operation_may_be_32000_bytes_and_not_one_more() -> None:
    """A larger operation would make Customer.io refuse its batch."""
    frame = len(json.dumps(MappedRows([ID, PLAN], [(1, "")]).operations[0], separators=(",", ":")))
    fits = "x" * (32_000 - frame)
    mapped = MappedRows([ID, PLAN], [(1, fits), (2, fits + "x")])
    assert len(mapped.operations) == 1
    assert mapped.rejections[0].reason == "too_large"


def test_numbers_are_exact_and_nan_counts_as_null() -> None:
    """Numerics keep every digit. JSON has no NaN and no infinity."""
    columns = [ID, column("n", "numeric"), column("f", "float8"), column("a", "float8", array=True)]
    big = Decimal("12345678901234567890.123456789")
    mapper = PeopleMapper(PeopleQuery(sql=""), columns, "remove", print)
    (operation,) = mapper.to_operations([(1, big, 0.1, [1.5])])
    assert b'"n":12345678901234567890.123456789,"f":0.1,"a":[1.5]' in operation.body
    mapped = MappedRows(columns, [(1, Decimal("NaN"), inf, [nan, 2.0])])
    assert mapped.operations[0]["attributes"] == {"n": None, "f": None, "a": [None, 2.0]}
    mapped = MappedRows(columns, [(1, Decimal("-Infinity"), nan, [1.0])], nulls="skip")
    assert mapped.operations[0]["attributes"] == {"a": [1.0]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([PLAN], "no column id or email"),
        ([ID, column("Email", "text")], '"Email" AS email'),
        ([ID, PLAN, PLAN], '"plan" is the name of 2 columns'),
        ([ID, column("cio_id", "text")], '"cio_id" AS "cio_id_value"'),
        ([ID, column("_update", "bool")], '"_update" AS "update_value"'),
        ([ID, column("?column?", "int4")], "name it with AS"),
        ([column("id", "float8")], "id::text AS id"),
        ([ID, column('a"b', "text")], "rename it with AS"),
        ([ID, *[column(f"c{n}", "text") for n in range(300)]], "301 columns"),
    ],
)
def test_columns_that_customerio_would_misread_are_refused_with_a_remedy(
    columns: list[Column], message: str
) -> None:
    """Nothing is sent. The error has the name of the column and the correction."""
    with pytest.raises(QueryError, match=message.replace("?", r"\?")):
        MappedRows(columns, [])


def test_300_columns_work() -> None:
    """300 columns are allowed."""
    columns = [ID, *[column(f"c{n}", "int4") for n in range(299)]]
    assert len(MappedRows(columns, [(1, *range(299))]).operations[0]["attributes"]) == 299


def test_columns_beside_the_id_are_optional() -> None:
    """A query may select only the id, or one more column."""
    assert MappedRows([ID], [(1,)]).operations[0]["attributes"] == {}
    assert MappedRows([ID, PLAN], [(1, "x")]).operations[0]["attributes"] == {"plan": "x"}


def test_a_row_is_rejected_once_and_rejections_are_in_row_order() -> None:
    """Of several problems, broken JSON comes first, then identifiers, then the size."""
    columns = [column("id", "text"), EMAIL, column("a", "json"), column("b", "json"), PLAN]
    fine, half, large = msgspec.Raw(b"1"), msgspec.Raw(rb'"\ud83d"'), "x" * 32_000
    mapped = MappedRows(
        columns,
        [
            ("1", None, fine, fine, large),
            ("2", "no address", fine, fine, large),
            (None, None, fine, fine, large),
            ("", "no address", half, half, large),
            ("5", "no address", fine, half, None),
            ("6", "b@c.co", fine, fine, None),
            ("7", "b@c.co", fine, fine, None),
        ],
    )
    assert [(rejection.row_index, rejection.field) for rejection in mapped.rejections] == [
        (1, "attributes"),
        (2, "attributes.email"),
        (3, "identifiers.id"),
        (4, "attributes.a"),
        (5, "attributes.b"),
        (7, "attributes.email"),
    ]
    assert [operation["identifiers"]["id"] for operation in mapped.operations] == ["6"]


@pytest.mark.parametrize(
    "address",
    [
        "a@b.co\n",
        "c@d.co\ne@f.co",
        "a.@b.co",
        "a@b-.co",
        f"{'a' * 65}@b.co",
        f"a@{'b' * 64}.co",
        "ü",
        " ",
        "",
        7,
    ],
)
def test_one_invalid_address_is_found_among_others(address: str | int) -> None:
    """Only its own row is rejected. NULLs before it make no difference."""
    rows = [(1, None), (2, "b@c.co"), (3, address), (4, "D+e@f-g.co")]
    mapped = MappedRows([ID, EMAIL], rows)
    assert [(rejection.row_index, rejection.values) for rejection in mapped.rejections] == [
        (3, {"id": 3, "email": address})
    ]
    assert [operation["attributes"].get("email") for operation in mapped.operations] == [
        None,
        "b@c.co",
        "D+e@f-g.co",
    ]


@pytest.mark.parametrize("value", ["\x1c", "\u2003", "x" * 151, "é" * 76])
def test_one_invalid_id_is_found_among_others(value: str) -> None:
    """Only its own row is rejected, with and without rows that have no id."""
    rows = [(None, "a@b.co"), ("2", None), (value, None), ("4", "b@c.co")]
    columns = [column("id", "text"), EMAIL]
    for given in (rows, rows[1:]):
        (rejection,) = MappedRows(columns, given).rejections
        assert (rejection.field, rejection.values) == ("identifiers.id", {"id": value, "email": None})


def test_numeric_ids_are_sent_with_all_their_digits() -> None:
    """An exponent would be a different id."""
    mapped = MappedRows([column("id", "numeric")], [(Decimal("1E+2"),), (Decimal("7.50"),)])
    assert [operation["identifiers"]["id"] for operation in mapped.operations] == ["100", "7.50"]


@pytest.mark.parametrize("number", ["1E-7", "1E+2", "7.50"])
def test_a_numeric_id_is_reported_as_it_is_sent(number: str) -> None:
    """The identifier and the column of a rejected row are the text that Customer.io would have received."""
    columns = [column("id", "numeric"), PLAN]
    mapped = MappedRows(columns, [(Decimal(number), ""), (Decimal(number), "x" * 32_000)])
    sent = mapped.operations[0]["identifiers"]["id"]
    (rejection,) = mapped.rejections
    assert rejection.identifier == value_text(rejection.values["id"]) == sent


def test_the_number_0_is_an_id_beside_rows_without_one() -> None:
    """The number 0 is an id, and only NULL is not."""
    mapped = MappedRows([ID, EMAIL], [(0, None), (None, "a@b.co")])
    assert [operation["identifiers"] for operation in mapped.operations] == [{"id": "0"}, {"email": "a@b.co"}]


def test_addresses_in_any_case_share_a_key_and_ids_do_not() -> None:
    """The rows of a person keep their order in any case of the email address. Ids are case-sensitive."""
    columns = [column("id", "text"), EMAIL]
    rows = [(None, "A@b.co"), ("x", None), (None, "a@B.co"), ("X", None)]
    mapper = PeopleMapper(PeopleQuery(sql=""), columns, "remove", print)
    keys = [operation.order_key for operation in mapper.to_operations(rows)]
    assert keys[0] == keys[2]
    assert keys[1] != keys[3]


def test_a_row_that_is_not_sent_does_not_own_its_address() -> None:
    """Only rows with an id that are sent can be in conflict about an email address."""
    mapped = MappedRows([ID, EMAIL, PLAN], [(1, "a@b.co", "x" * 32_000), (2, "a@b.co", "")])
    assert [rejection.row_index for rejection in mapped.rejections] == [1]
    assert [operation["identifiers"] for operation in mapped.operations] == [{"id": "2"}]
    mapped = MappedRows([ID, EMAIL, PLAN], [(None, "a@b.co", ""), (2, "a@b.co", "")])
    assert [operation["identifiers"] for operation in mapped.operations] == [{"email": "a@b.co"}, {"id": "2"}]


def test_an_address_with_two_ids_is_rejected_with_the_index_of_the_first_row() -> None:
    """The first row can be in an earlier chunk. The same id may repeat its address."""
    rejections: list[Rejection] = []
    mapper = PeopleMapper(PeopleQuery(sql=""), [ID, EMAIL], "remove", rejections.append)
    chunks: list[list[tuple[Any, ...]]] = [
        [(1, None), (None, None), (3, "a@b.co"), (4, "c@d.co")],
        [(5, None), (4, "C@d.co"), (7, None), (8, "a@B.co"), (9, "e@f.co")],
        [(9, "e@f.co"), (11, "e@f.co")],
    ]
    sent = [operation.row_index for chunk in chunks for operation in mapper.to_operations(chunk)]
    assert sent == [1, 3, 4, 5, 6, 7, 9, 10]
    assert [(rejection.row_index, rejection.message.partition(",")[0]) for rejection in rejections] == [
        (2, "the row has no id and no email"),
        (8, "email is also in row 3"),
        (11, "email is also in row 9"),
    ]


def test_a_full_disk_ends_the_run() -> None:
    """Without a complete record of earlier rows, valid rows could be rejected."""
    mapper = PeopleMapper(PeopleQuery(sql=""), [ID, EMAIL], "remove", print)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, usual[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            mapper.to_operations([(n, f"p{n}@b.co") for n in range(100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
