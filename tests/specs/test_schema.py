"""The JSON Schema of specs."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from airflow_provider_cio.specs.schema import SCHEMA_FILE, json_schema
from tests.specs.conftest import GOOD

VALIDATOR = jsonschema.Draft202012Validator(json.loads(json_schema()))


def test_the_copy_in_the_wheel_is_current() -> None:
    """It is the output of `airflow customerio schema`."""
    assert SCHEMA_FILE.read_text() == json_schema()


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD + "schedule: '*/30 * * * *'\ntags: [a]\noverlap: 5 minutes\n",
        GOOD + "schedule: {every: 1 hour}\nspread: true\n",
        GOOD.replace("query: SELECT id FROM people", "query_file: people.sql"),
        "name: companies\nobjects: {object_type_id: '1', query: a}\nrelationships: {query: b}\n",
        GOOD + "on_failure:\n- {notifier: a.B, arguments: {to: x}}\n",
    ],
)
def test_an_editor_accepts_what_we_accept(text: str) -> None:
    """The workspace of a spec can be in the defaults."""
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "schedul: '* * * * *'\n",
        GOOD + "nulls: drop\n",
        GOOD + "overlap: 5\n",
        GOOD + "  segment: 7\n",
        GOOD + "  query_file: people.sql\n",
        GOOD.replace("active_people", "Active People"),
        GOOD.replace("  query: SELECT id FROM people\n", "  identify_by: id\n"),
        GOOD + "objects: {object_type_id: '1', query: SELECT 1}\n",
    ],
)
def test_an_editor_marks_mistakes(text: str) -> None:
    """An editor that has the schema marks the mistake while a user types."""
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_every_key_has_a_description() -> None:
    """An editor displays it beside the key."""
    schema = json.loads(json_schema())
    parts = [schema, *schema["$defs"].values()]
    assert [
        key for part in parts for key, field in part["properties"].items() if "description" not in field
    ] == []
