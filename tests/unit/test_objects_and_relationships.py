"""Rows of objects and relationships become operations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_cio.engine import ObjectsQuery, Rejection, RelationshipsQuery
from airflow_provider_cio.errors import QueryError
from tests.columns import column

if TYPE_CHECKING:
    from airflow_provider_cio.engine.mapping.mapper import Mapper
    from airflow_provider_cio.engine.mapping.query import Query
    from airflow_provider_cio.engine.sources import Column

OBJECT_ID = column("object_id", "text")
PERSON_ID = column("id", "int8")
NAME = column("name", "text")
DELETED = column("deleted", "bool")
OBJECTS = ObjectsQuery(sql="", object_type_id="1")
RELATIONSHIPS = RelationshipsQuery(sql="", object_type_id="2")


def mapper(query: Query, columns: list[Column], rejections: list[Rejection]) -> Mapper:
    """Return a mapper that removes attributes that are NULL."""
    return query.mapper(columns, "remove", rejections.append)


def mapped(query: Query, columns: list[Column], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Map rows that are all valid, and return the decoded operations."""
    rejections: list[Rejection] = []
    operations = [
        json.loads(operation.body) for operation in mapper(query, columns, rejections).to_operations(rows)
    ]
    assert not rejections
    return operations


def rejected(query: Query, columns: list[Column], row: tuple[Any, ...]) -> Rejection:
    """Map one invalid row, and return its rejection."""
    rejections: list[Rejection] = []
    assert not list(mapper(query, columns, rejections).to_operations([row]))
    return rejections[0]


def test_a_row_becomes_an_object() -> None:
    """Type and object_id identify the object. Other columns are attributes, including `id` and `email`."""
    columns = [OBJECT_ID, NAME, column("id", "int4"), column("email", "text")]
    assert mapped(OBJECTS, columns, [("acme", "Acme", 7, "no address")]) == [
        {
            "type": "object",
            "identifiers": {"object_type_id": "1", "object_id": "acme"},
            "attributes": {"name": "Acme", "id": 7, "email": "no address"},
            "action": "identify",
        }
    ]


def test_a_row_becomes_a_relationship_with_attributes() -> None:
    """The query decides how the person is identified. The object is identified by type and object_id."""
    columns = [PERSON_ID, OBJECT_ID, column("role", "text")]
    assert mapped(RELATIONSHIPS, columns, [(42, "acme", "admin")]) == [
        {
            "type": "person",
            "identifiers": {"id": "42"},
            "action": "add_relationships",
            "cio_relationships": [
                {
                    "identifiers": {"object_type_id": "2", "object_id": "acme"},
                    "relationship_attributes": {"role": "admin"},
                }
            ],
        }
    ]


def test_people_of_relationships_can_be_identified_by_email() -> None:
    """The email address is checked as in a query of people."""
    query = RelationshipsQuery(sql="", object_type_id="1", identify_by="email")
    columns = [column("email", "text"), OBJECT_ID]
    (operation,) = mapped(query, columns, [("A@b.co", "acme")])
    assert operation["identifiers"] == {"email": "A@b.co"}
    assert operation["cio_relationships"] == [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]
    assert rejected(query, columns, ("invalid", "acme")).field == "identifiers.email"


@pytest.mark.parametrize("value", [True, 1, "1", "t", "true", "TRUE"])
def test_deleted_true_removes_a_relationship(value: Any) -> None:
    """Every form of true in a database removes the relationship, without attributes."""
    columns = [PERSON_ID, OBJECT_ID, DELETED, column("role", "text")]
    (operation,) = mapped(RELATIONSHIPS, columns, [(42, "acme", value, "admin")])
    assert operation["action"] == "delete_relationships"
    assert operation["cio_relationships"] == [{"identifiers": {"object_type_id": "2", "object_id": "acme"}}]


@pytest.mark.parametrize("value", [False, None, 0, "0", "f", "false"])
def test_deleted_false_or_null_adds_a_relationship(value: Any) -> None:
    """The column is not an attribute."""
    (operation,) = mapped(RELATIONSHIPS, [PERSON_ID, OBJECT_ID, DELETED], [(42, "acme", value)])
    assert operation["action"] == "add_relationships"
    assert "relationship_attributes" not in operation["cio_relationships"][0]


def test_a_deleted_that_is_not_boolean_is_rejected() -> None:
    """A relationship is never removed by a guess."""
    columns = [PERSON_ID, OBJECT_ID, column("deleted", "text")]
    assert rejected(RELATIONSHIPS, columns, (42, "acme", "maybe")).field == "deleted"


def test_a_row_without_an_identifier_is_rejected() -> None:
    """A relationship needs both its identifiers, and an object its id."""
    assert rejected(OBJECTS, [OBJECT_ID], (None,)).field == "identifiers.object_id"
    assert rejected(OBJECTS, [OBJECT_ID], ("x" * 151,)).reason == "invalid"
    assert rejected(RELATIONSHIPS, [PERSON_ID, OBJECT_ID], (None, "acme")).field == "identifiers.id"
    rejection = rejected(RELATIONSHIPS, [PERSON_ID, OBJECT_ID], (42, " "))
    assert (rejection.identifier, rejection.field) == ("42", "identifiers.object_id")


def test_operations_on_a_pair_share_a_key_and_those_on_other_pairs_do_not() -> None:
    """Adding and removing one relationship keep their order."""
    rows = [(1, "a"), (1, "b"), (2, "a"), (1, "a")]
    keys = [
        operation.order_key
        for operation in mapper(RELATIONSHIPS, [PERSON_ID, OBJECT_ID], []).to_operations(rows)
    ]
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("query", "columns", "message"),
    [
        (OBJECTS, [NAME], "no column object_id"),
        (OBJECTS, [column("Object_ID", "text")], '"Object_ID" AS object_id'),
        (RELATIONSHIPS, [OBJECT_ID], "no column id"),
        (RELATIONSHIPS, [PERSON_ID], "no column object_id"),
        (RELATIONSHIPS, [PERSON_ID, OBJECT_ID, column("Deleted", "bool")], '"Deleted" AS deleted'),
    ],
)
def test_columns_that_would_be_misread_are_refused(query: Query, columns: list[Column], message: str) -> None:
    """The rules for columns of people apply in the same way."""
    with pytest.raises(QueryError, match=message):
        mapper(query, columns, [])


def test_a_pair_is_the_same_in_any_case_of_its_address() -> None:
    """The case of an email address does not matter for the order. Object ids are case-sensitive."""
    query = RelationshipsQuery(sql="", object_type_id="1", identify_by="email")
    rows = [("A@b.co", "x"), ("a@B.co", "x"), ("a@b.co", "X")]
    operations = mapper(query, [column("email", "text"), OBJECT_ID], []).to_operations(rows)
    assert operations[0].order_key == operations[1].order_key
    assert operations[0].order_key != operations[2].order_key


def test_a_bad_row_between_others_is_rejected_alone() -> None:
    """The rows around an invalid row are sent unchanged, whichever of its columns is invalid."""
    rejections: list[Rejection] = []
    columns = [PERSON_ID, OBJECT_ID, column("deleted", "text"), NAME]
    rows = [(1, "a", "t", "n1"), (2, "b", "maybe", "n2"), (3, "", "f", "n3"), (None, "d", None, "n4")]
    (operation, last) = mapper(RELATIONSHIPS, columns, rejections).to_operations(
        [*rows, (5, "e", None, "n5")]
    )
    assert [(rejection.row_index, rejection.field) for rejection in rejections] == [
        (2, "deleted"),
        (3, "identifiers.object_id"),
        (4, "identifiers.id"),
    ]
    assert operation.values() == {"id": "1", "object_type_id": "2", "object_id": "a", "deleted": True}
    assert last.values()["name"] == "n5"
