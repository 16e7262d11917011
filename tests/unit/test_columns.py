"""The rules for columns, and for the values of columns that identify a row."""

from __future__ import annotations

import json
from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.engine import ObjectsQuery, PeopleQuery, Rejection, RelationshipsQuery
from airflow_provider_cio.engine.sources import Column, Kind
from airflow_provider_cio.errors import QueryError
from tests.columns import column

if TYPE_CHECKING:
    from airflow_provider_cio.engine.mapping.query import Query

ID = column("id", "text")
OBJECT_ID = column("object_id", "text")

PEOPLE = "people"
OBJECTS = "objects"
RELATIONSHIPS = "relationships"


def query(kind: str) -> Query:
    """Return a query of this kind."""
    if kind == PEOPLE:
        return PeopleQuery(sql="")
    if kind == OBJECTS:
        return ObjectsQuery(sql="", object_type_id="1")
    return RelationshipsQuery(sql="", object_type_id="1")


def required_columns(kind: str) -> list[Column]:
    """Return the columns that a query of this kind needs."""
    return {PEOPLE: [ID], OBJECTS: [OBJECT_ID], RELATIONSHIPS: [ID, OBJECT_ID]}[kind]


def refusal(kind: str, *others: Column) -> str:
    """Return the error for a query with these additional columns, or an empty text."""
    try:
        query(kind).mapper([*required_columns(kind), *others], "remove", print)
    except QueryError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[
            (kind, name)
            for kind in (PEOPLE, OBJECTS, RELATIONSHIPS)
            for name in ("cio_id", "_update", "_timestamp")
        ],
        (PEOPLE, "anonymous_id"),
        (PEOPLE, "_created_in_customerio_at"),
        *[
            (kind, name)
            for kind in (OBJECTS, RELATIONSHIPS)
            for name in ("relationship", "_relationship", "cio_object_id", "objectId", "object_type_id")
        ],
    ],
)
def test_a_reserved_name_is_refused_with_the_alias_that_fixes_it(kind: str, name: str) -> None:
    """Customer.io would not store a column with this name as an attribute."""
    assert f'"{name}" AS "{name.strip("_")}_value"' in refusal(kind, column(name, "text"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (PEOPLE, "relationship"),
        (PEOPLE, "object_id"),
        (PEOPLE, "deleted"),
        (OBJECTS, "deleted"),
        (OBJECTS, "id"),
        (OBJECTS, "name"),
        (OBJECTS, "relationships"),
        *[
            (PEOPLE, name)
            for name in (
                "CIO_ID", "_Update", "unsubscribed", "created_at", "phone", "timezone",
                "cio_subscription_preferences.topics.topic_1",
                "a.b", "a[0]", "$x", "a b", " padded ", "count", "case",
                "bool", "Plan", "plan", "ü", "日本語", "'", "a" * 63,
            )
        ],
    ],
)  # fmt: skip
def test_other_names_are_sent_unchanged(kind: str, name: str) -> None:
    """Names are case-sensitive in Customer.io, and the query decides about them."""
    mapper = query(kind).mapper([*required_columns(kind), column(name, "text")], "remove", print)
    (operation,) = mapper.to_operations([(*["7" for _ in required_columns(kind)], "x")])
    assert json.loads(operation.body)["attributes"] == {name: "x"}


def test_names_that_differ_in_case_are_two_attributes() -> None:
    """Only columns that identify a row must be in lower case."""
    assert refusal(PEOPLE, column("plan", "text"), column("Plan", "text")) == ""


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (PEOPLE, "Email", "email"),
        (PEOPLE, "ID", "id"),
        (PEOPLE, "id ", "id"),
        (PEOPLE, " Email", "email"),
        (OBJECTS, "OBJECT_ID", "object_id"),
        (RELATIONSHIPS, "Deleted", "deleted"),
        (RELATIONSHIPS, "deleted ", "deleted"),
    ],
)
def test_a_name_that_is_almost_that_of_an_identifier_is_refused(kind: str, name: str, expected: str) -> None:
    """Such a column would become an attribute, although it is intended to identify a row."""
    assert f'"{name}" AS {expected}' in refusal(kind, column(name, "text"))


def test_one_error_has_all_problems_of_the_columns() -> None:
    """Each problem is in the error once, also where two identifiers are required."""
    columns = [column("Id", "text"), OBJECT_ID, column("cio_id", "text"), column("deleted", "date")]
    with pytest.raises(QueryError) as error:
        query(RELATIONSHIPS).mapper(columns, "remove", print)
    assert [line.split()[1] for line in str(error.value).splitlines()[1:]] == ['"Id"', '"cio_id"', "deleted"]
    with pytest.raises(QueryError, match=r"no column id: .*\n.*no column object_id: "):
        query(RELATIONSHIPS).mapper([column("plan", "text")], "remove", print)


def test_a_name_that_the_database_truncated_is_refused() -> None:
    """The attribute would have another name than in the query. Each name in the query gets an AS."""
    truncated = Column("orders_in_", Kind.INTEGER, truncated_from=("orders_in_june", "orders_in_july"))
    message = refusal(PEOPLE, truncated)
    for name in truncated.truncated_from:
        assert f'"orders_in_" is "{name}" truncated by the database' in message
        assert f'AS "{name}"' in message


@pytest.mark.parametrize("given", [ID, column("id", "int8"), column("id", "numeric"), column("id", "uuid")])
def test_types_that_can_identify_a_row(given: Column) -> None:
    """Values of these types have exactly one text."""
    PeopleQuery(sql="").mapper([given], "remove", print)


@pytest.mark.parametrize(
    "given",
    [
        *[
            column("id", name)
            for name in ("bool", "float8", "date", "timestamp", "timestamptz", "json", "jsonb", "bytea")
        ],
        column("id", "text", array=True),
        column("id", "int4", array=True, declared_type="integer[]"),
    ],
)
def test_a_type_that_cannot_identify_is_refused(given: Column) -> None:
    """The error is raised once, and not for every row."""
    with pytest.raises(QueryError, match="id::text AS id"):
        PeopleQuery(sql="").mapper([given], "remove", print)


@pytest.mark.parametrize("kind", ["int4", "int8", "numeric", "uuid", "oid", "bool", "date", "jsonb"])
def test_email_must_be_text(kind: str) -> None:
    """The error is raised once, and not for every row, also where another column identifies the row."""
    for columns in ([column("email", kind)], [ID, column("email", kind)]):
        with pytest.raises(QueryError, match="which cannot hold an address"):
            PeopleQuery(sql="").mapper(columns, "remove", print)


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("int8", -1, "-1"),
        ("numeric", Decimal(2**80), str(2**80)),
        ("numeric", Decimal("1E-7"), "0.0000001"),
        ("numeric", Decimal("1E+3"), "1000"),
        ("numeric", Decimal("1.0"), "1.0"),
        ("varchar", " padded ", " padded "),
        ("text", "padded  ", "padded  "),
        ("name", "x ", "x "),
        ("bpchar", "padded  ", "padded"),
        ("bpchar", " x\t ", " x\t"),
        ("bpchar", "a" * 150 + " " * 50, "a" * 150),
    ],
)
def test_an_identifier_is_the_text_of_its_value(kind: str, value: Any, sent: str) -> None:
    """Only `char(n)` pads values, so trailing spaces are removed only there."""
    for columns, row in (
        ([column("id", kind)], (value,)),
        ([column("object_id", kind)], (value,)),
        ([column("id", kind), OBJECT_ID], (value, "o")),
        ([ID, column("object_id", kind)], ("p", value)),
    ):
        chosen = query({1: PEOPLE, 2: RELATIONSHIPS}[len(columns)] if columns[0].name == "id" else OBJECTS)
        (operation,) = chosen.mapper(columns, "remove", print).to_operations([row])
        assert sent in operation.values().values()


def test_padded_addresses_are_trimmed_as_identifier_and_as_attribute() -> None:
    """Trimmed addresses are valid, and two rows with the same trimmed address are found."""
    rejections: list[Rejection] = []
    columns = [column("id", "bpchar"), column("email", "bpchar"), column("plan", "bpchar")]
    mapper = PeopleQuery(sql="").mapper(columns, "remove", rejections.append)
    rows = [
        ("1  ", "a@b.co  ", "pro "),
        (None, "c@d.co ", None),
        ("3  ", None, None),
        ("4  ", "a@b.co  ", None),
        ("   ", None, None),
    ]
    assert [operation.values() for operation in mapper.to_operations(rows)] == [
        {"id": "1", "email": "a@b.co", "plan": "pro "},
        {"email": "c@d.co", "plan": None},
        {"id": "3", "plan": None},
    ]
    assert [(found.identifier, found.field, found.reason) for found in rejections] == [
        ("4", "attributes.email", "duplicate"),
        ("", "identifiers.id", "required"),
    ]


def test_nan_and_infinity_are_not_identifiers() -> None:
    """NaN and infinity count as NULL."""
    rejections: list[Rejection] = []
    mapper = PeopleQuery(sql="").mapper([column("id", "numeric")], "remove", rejections.append)
    assert not mapper.to_operations([(Decimal("NaN"),), (Decimal("Infinity"),)])
    assert [found.reason for found in rejections] == ["required", "required"]


TRUE = [
    True,
    1,
    Decimal("1.0"),
    Decimal(1),
    1.0,
    "1",
    "t",
    "T",
    "tr",
    "true",
    "TRUE",
    "y",
    "Y",
    "ye",
    "Yes",
    "on",
    " t ",
    "y   ",
    "true\n",
]
FALSE = [
    False,
    0,
    None,
    Decimal("0.00"),
    0.0,
    -0.0,
    "0",
    "f",
    "F",
    "fal",
    "false",
    "n",
    "N",
    "No",
    "of",
    "OFF",
    "\tf",
]
NEITHER = [
    2,
    -1,
    Decimal("1.1"),
    Decimal("0.1"),
    0.5,
    1e-300,
    "",
    " ",
    "o",
    "maybe",
    "1.0",
    "01",
    "truee",
    "ja",
    "oui",
    "ye s",
    "null",
    "deleted",
]


@pytest.mark.parametrize("value", [*TRUE, *FALSE, *NEITHER])
def test_deleted_has_the_boolean_values_of_postgres(value: Any) -> None:
    """Booleans, 0 and 1 of every number type, and texts that Postgres reads as a boolean are valid."""
    rejections: list[Rejection] = []
    columns = [ID, OBJECT_ID, column("deleted", "text")]
    operations = (
        query(RELATIONSHIPS).mapper(columns, "remove", rejections.append).to_operations([("p", "o", value)])
    )
    if any(value is other for other in NEITHER):
        ((found,), operations) = rejections, [*operations]
        assert (found.field, found.reason, operations) == ("deleted", "invalid", [])
        assert "true, yes, on, false, no, off" in found.message
    else:
        assert [operation.values()["deleted"] for operation in operations] == [
            any(value is other for other in TRUE)
        ]


@pytest.mark.parametrize(
    "given",
    [
        *[column("deleted", name) for name in ("bool", "int2", "int4", "int8", "numeric", "float8",
            "text", "varchar", "bpchar", "name")],
        *[
            column("deleted", "text", declared_type=name)
            for name in ("text", '"char"', "bit", "bit varying", "citext", "yes_or_no", "character varying")
        ],
    ],
)  # fmt: skip
def test_types_that_can_be_boolean_are_accepted_for_deleted(given: Column) -> None:
    """This includes enums and types of extensions, whose texts can be anything."""
    assert refusal(RELATIONSHIPS, given) == ""


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        *[
            (column("deleted", name), "such as deleted_at IS NOT NULL AS deleted")
            for name in ("date", "timestamp", "timestamptz", "json", "jsonb", "bytea", "uuid", "inet")
        ],
        *[
            (column("deleted", "text", declared_type=name), "deleted_at IS NOT NULL AS deleted")
            for name in ("interval", "time without time zone", "money", "point", "xml", "tstzrange", "record")
        ],
        (column("deleted", "bool", array=True, declared_type="boolean[]"), "the type boolean[]"),
        (column("deleted", "text", array=True), "the type text[]"),
    ],
)
def test_a_type_that_is_never_true_or_false_is_refused_once(given: Column, remedy: str) -> None:
    """Every row would be rejected, so the query is refused before anything is sent."""
    assert remedy in refusal(RELATIONSHIPS, given)
    assert refusal(PEOPLE, given) == refusal(OBJECTS, given) == ""


@pytest.mark.parametrize("value", [nan, inf])
def test_deleted_that_is_not_a_number_counts_as_null(value: float) -> None:
    """NaN and infinity count as NULL, so the relationship is added."""
    columns = [ID, OBJECT_ID, column("deleted", "float8")]
    (operation,) = query(RELATIONSHIPS).mapper(columns, "remove", print).to_operations([("p", "o", value)])
    assert operation.values()["deleted"] is False
