"""The messages about mistakes in a spec, and their positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.specs.problems import SpecError
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from tests.specs.conftest import Folder

MISTAKES = [
    # Keys and values
    (GOOD + "schedul: '* * * * *'\n", "6:1: unknown key schedul: did you mean schedule?"),
    (GOOD + "  identify: id\n", "6:3: unknown key people.identify: did you mean identify_by?"),
    (
        GOOD + "  segment: {nme: x}\n",
        "6:13: unknown key people.segment.nme: did you mean name?",
    ),
    (GOOD.replace("name: active_people\n", ""), "1:1: name is missing"),
    (GOOD.replace("active_people", "Active People"), "1:7: name can only have the letters a to z"),
    (GOOD + "overlap: 5\n", "6:10: overlap: give a number and a unit, such as 90 seconds"),
    (GOOD + "overlap: 99999999999 days\n", "6:10: overlap: cannot be longer than 365 days"),
    (GOOD + "nulls: drop\n", "6:8: nulls cannot be drop: allowed are remove, skip"),
    (GOOD + "failed_rows: retri\n", "6:14: failed_rows cannot be retri: did you mean retry?"),
    (
        GOOD.replace("FROM people", "FROM people LIMIT 5") + "failed_rows: retry\n",
        "5:32: LIMIT cannot be used with failed_rows: retry, because failed rows can be beyond",
    ),
    (GOOD + "nulls: remov\n", "6:8: nulls cannot be remov: did you mean remove?"),
    (GOOD.replace("  query: SELECT id FROM people\n", "  identify_by: id\n"), "4:1: people.query is missing"),
    (GOOD + "tags: crm\n", "6:7: tags must be a list"),
    (GOOD + "people2: x\n", "6:1: unknown key people2: did you mean people?"),
    (GOOD + "retries: two\n", "6:10: retries must be a whole number"),
    (GOOD + "retries: -1\n", "6:10: retries must be greater than or equal to 0"),
    (
        GOOD + "objects: {object_type_id: '1', query: SELECT 1}\n",
        "1:1: give either people or objects",
    ),
    (GOOD + "relationships: {query: SELECT 1}\n", "1:1: relationships needs object_type_id"),
    (GOOD + "guards: {min_row: 1}\n", "6:10: unknown key guards.min_row: did you mean min_rows?"),
    (GOOD + "guards: {min_rows: 0}\n", "6:20: guards.min_rows must be greater than or equal to 1"),
    (GOOD + "guards: {max_growth: 3}\n", "6:22: guards.max_growth: use a percentage, such as 300%"),
    (GOOD + "guards: {max_failed: x%}\n", "6:22: guards.max_failed: use a number of rows, or a percentage"),
    (
        GOOD + "guards: {min_rows: 2, max_rows: 1}\n",
        "6:9: guards: min_rows cannot be larger than max_rows",
    ),
    (
        GOOD + 'relationships: {query: SELECT 1, object_type_id: "1"}\ncreate: false\n',
        "1:1: create: false cannot be combined with relationships",
    ),
    (GOOD + "  segment: {}\n", "6:12: people.segment: give either id or name"),
    (GOOD + "  segment: {id: 1, name: x}\n", "6:12: people.segment: give either id or name"),
    # Values that Airflow or Postgres cannot store
    (GOOD + 'description: "a\\0b"\n', "6:14: description cannot have the character NUL"),
    (GOOD + "retries: 99999999999\n", "6:10: retries must be less than or equal to"),
    (GOOD + f"owner: {'x' * 600}\n", "6:8: owner is longer than"),
    (GOOD + "statement_timeout: 30 days\n", "6:20: statement_timeout: cannot be longer than 24 days"),
    (GOOD.replace("SELECT id FROM people", "people.sql"), "5:10: people.query: is the name of a file"),
    (GOOD + "owner_links: {growth: nowhere}\n", "6:23: owner_links.growth: give a URL, or mailto:"),
    (GOOD + "owner_links: {growth: 'http://[a'}\n", "6:23: owner_links.growth: give a URL, or mailto:"),
    # Keys in the wrong position
    (GOOD + "every: 1 hour\n", "6:1: every is not a top-level key: it belongs under schedule"),
    (GOOD + "query: SELECT 1\n", "6:1: query is not a top-level key: it belongs under people, objects or"),
    # Schedules
    (
        GOOD + "schedule: every day\n",
        "6:11: schedule: 'every day' is not a valid cron expression: give five fields",
    ),
    (GOOD + "schedule: 0 0 30 2 *\n", "6:11: schedule: '0 0 30 2 *' never runs"),
    (GOOD + "schedule: {every: 50 minutes}\n", "6:19: schedule.every: 50 minutes do not divide a day"),
    (
        GOOD + "schedule: {every: 2 days}\n",
        "6:19: schedule.every: cannot be longer than 1 day: use a cron expression",
    ),
    (GOOD + "schedule: {}\n", "6:11: schedule: give one of a cron expression, every and assets"),
    (GOOD + "schedule: {assets: s3://a}\n", "6:20: schedule.assets must be a list"),
    (GOOD + "schedule: 0 * * * *\nspread: true\n", "1:1: spread needs a schedule such as every: 1 hour"),
    (GOOD + "timezone: Berlin\n", "6:11: timezone: Berlin is not a known time zone: "),
    (GOOD + "start_date: soon\n", "6:13: start_date "),
    # Texts that need quotes in YAML
    (
        GOOD.replace("active_people", "on"),
        "1:7: name must be a text: on without quotes is a boolean in YAML",
    ),
    (GOOD.replace("active_people", "2024"), "1:7: name must be a text: 2024 without quotes is a number"),
    (
        GOOD + "tags: [a, 007]\n",
        "6:11: tags.1 must be a text: 007 without quotes is a number in YAML, so wri",
    ),
    (
        GOOD + "owner: 2024-01-01\n",
        "6:8: owner must be a text: 2024-01-01 without quotes is a date in YAML",
    ),
    (
        GOOD + "relationships: {object_type_id: 01, query: SELECT 1}\n",
        "6:33: relationships.object_type_id must",
    ),
    (GOOD + "spread: 'yes'\n", "6:9: spread must be true or false"),
    (GOOD + "on: x\n", "6:1: unknown key on"),
    (GOOD.replace("warehouse", ""), "3:18: postgres_conn_id must be a text, and is empty"),
    # Templates, also in a query of one line
    (GOOD.replace("FROM people", "FROM people WHERE at > {{ now }}"), "5:46: {{ now }} is an unknown name"),
    (GOOD.replace("SELECT id FROM people", '"SELECT {{ now }}"'), "5:21: {{ now }} is an unknown name"),
    (GOOD.replace("SELECT id FROM people", "|2\n    SELECT id\n      , {{ now }}"), "7:12: {{ now }} is"),
    # Queries
    (
        GOOD.replace("SELECT id FROM people", "DELETE FROM people"),
        "5:10: the query must be one SELECT, but begins",
    ),
    (GOOD.replace("people\n", "people; SELECT 2\n"), "5:33: the query must be one SELECT, but another"),
    (
        GOOD.replace("SELECT id FROM people", "|\n    SELECT 1\n    INTO t"),
        "7:5: the query must be one SELECT",
    ),
    (
        GOOD.replace("SELECT", "'{% if last_sync_time %}UPDATE t{% endif %}' #"),
        "5:34: the query must be one SELECT",
    ),
    (
        GOOD.replace("SELECT", "|\n    {% set a = 1 %}\n    DROP TABLE t #"),
        "7:5: the query must be one SELECT",
    ),
    # What is not YAML
    (GOOD + "name: again\n", "6:1: name occurs twice, and YAML would ignore the first"),
    (GOOD + "people:\n\tquery: SELECT 1\n", "7:1: is indented with a tab: YAML needs spaces"),
    (GOOD + "schedule: */30 * * * *\n", "6:11: a text that begins with * needs quotes"),
    (GOOD + "description: Note: all\n", '6:18: is not YAML: a text with ": " in it needs quotes'),
    (GOOD + "start_date: 2024-02-30\n", "6:13: is not a valid timestamp: put quotes around a text"),
    (GOOD + "description: a\x01b\n", "6:15: has the character U+0001, which YAML"),
    ("name: [\n", "2:1: is not YAML: "),
    ("- a list\n", "1:1: must be a mapping of keys"),
    ("", "1:1: name is missing"),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES)
def test_a_mistake_has_a_position_and_a_message(folder: Folder, text: str, problem: str) -> None:
    """The message has the file, line and column, what is wrong, and a similar or all allowed words."""
    problems = folder.problems(text)
    assert any(found.startswith(f"spec.yaml:{problem}") for found in problems), problems


def test_a_message_quotes_the_line_with_a_caret(folder: Folder) -> None:
    """A user sees the mistake without opening the file."""
    path = folder.write("spec.yaml", GOOD + "nulls: drop\n")
    with pytest.raises(SpecError) as error:
        folder.load(path.read_text())
    assert str(error.value) == (
        f"{path}:6:8: nulls cannot be drop: allowed are remove, skip\n"
        "    6 | nulls: drop\n"
        "      |        ^^^^"
    )


def test_all_mistakes_are_reported_together(folder: Folder) -> None:
    """Mistakes in YAML keys, values and templates are all in one list."""
    text = (
        "name: a\nname: b\nworkspace: production\npostgres_conn_id: warehouse\n"
        "people:\n  query: |\n    SELECT id FROM people\n    WHERE at >= {{ now }}\nnulls: drop\nretrys: 1\n"
    )
    assert [problem.split(": ")[0] for problem in folder.problems(text)] == [
        "spec.yaml:2:1",
        "spec.yaml:8:20",
        "spec.yaml:9:8",
        "spec.yaml:10:1",
    ]
