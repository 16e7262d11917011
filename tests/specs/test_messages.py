"""What is said of a spec that cannot be used, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.specs.problems import SpecError
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from tests.specs.conftest import Folder

MISTAKES = [
    # Keys and values
    (GOOD + "schedul: '* * * * *'\n", "6:1: schedul is no key of a spec: did you mean schedule?"),
    (GOOD + "  identify: id\n", "6:3: people.identify is no key of people: did you mean identify_by?"),
    (
        GOOD + "  segment: {nme: x}\n",
        "6:13: people.segment.nme is no key of people.segment: did you mean name?",
    ),
    (GOOD.replace("name: active_people\n", ""), "1:1: name is missing"),
    (GOOD.replace("active_people", "Active People"), "1:7: name may only have the letters a to z"),
    (GOOD + "overlap: 5\n", "6:10: overlap: give a number and a unit, such as 90 seconds"),
    (GOOD + "overlap: 99999999999 days\n", "6:10: overlap: is longer than anybody can wait"),
    (GOOD + "nulls: drop\n", "6:8: nulls cannot be drop: allowed are remove, skip"),
    (GOOD + "nulls: remov\n", "6:8: nulls cannot be remov: did you mean remove?"),
    (GOOD.replace("  query: SELECT id FROM people\n", "  identify_by: id\n"), "4:1: people.query is missing"),
    (GOOD + "tags: crm\n", "6:7: tags has to be a list"),
    (GOOD + "people2: x\n", "6:1: people2 is no key of a spec: did you mean people?"),
    (GOOD + "retries: two\n", "6:10: retries has to be a whole number"),
    (GOOD + "retries: -1\n", "6:10: retries has to be greater than or equal to 0"),
    (
        GOOD + "objects: {object_type_id: '1', query: SELECT 1}\n",
        "1:1: give people or objects, one of the two",
    ),
    (GOOD + "relationships: {query: SELECT 1}\n", "1:1: relationships needs object_type_id"),
    (GOOD + "  segment: {}\n", "6:12: people.segment: give id or name, one of the two"),
    (GOOD + "  segment: {id: 1, name: x}\n", "6:12: people.segment: give id or name, one of the two"),
    # What Airflow or Postgres could not keep
    (GOOD + 'description: "a\\0b"\n', "6:14: description may not have the character NUL"),
    (GOOD + "retries: 99999999999\n", "6:10: retries has to be less than or equal to"),
    (GOOD + f"owner: {'x' * 600}\n", "6:8: owner is longer than"),
    (GOOD + "statement_timeout: 30 days\n", "6:20: statement_timeout: is longer than Postgres can count"),
    (GOOD.replace("SELECT id FROM people", "people.sql"), "5:10: people.query: is the name of a file"),
    (GOOD + "owner_links: {growth: nowhere}\n", "6:23: owner_links.growth: give a URL, or mailto:"),
    (GOOD + "owner_links: {growth: 'http://[a'}\n", "6:23: owner_links.growth: give a URL, or mailto:"),
    # Keys in the wrong place
    (GOOD + "every: 1 hour\n", "6:1: every is no key here: it belongs under schedule"),
    (GOOD + "query: SELECT 1\n", "6:1: query is no key here: it belongs under people, objects or"),
    # Schedules
    (GOOD + "schedule: every day\n", "6:11: schedule: 'every day' is no cron expression: five fields"),
    (GOOD + "schedule: 0 0 30 2 *\n", "6:11: schedule: '0 0 30 2 *' never fires"),
    (GOOD + "schedule: {every: 50 minutes}\n", "6:19: schedule.every: 50 minutes do not divide a day"),
    (GOOD + "schedule: {every: 2 days}\n", "6:19: schedule.every: longer than a day takes a cron expression"),
    (GOOD + "schedule: {}\n", "6:11: schedule: give a cron expression, every or assets"),
    (GOOD + "schedule: {assets: s3://a}\n", "6:20: schedule.assets has to be a list"),
    (GOOD + "schedule: 0 * * * *\nspread: true\n", "1:1: spread needs a schedule such as every: 1 hour"),
    (GOOD + "timezone: Berlin\n", "6:11: timezone: Berlin is no time zone: "),
    (GOOD + "start_date: soon\n", "6:13: start_date "),
    # What YAML makes of texts without quotes
    (
        GOOD.replace("active_people", "on"),
        "1:7: name has to be a text: on without quotes is a boolean in YAML",
    ),
    (GOOD.replace("active_people", "2024"), "1:7: name has to be a text: 2024 without quotes is a number"),
    (
        GOOD + "tags: [a, 007]\n",
        "6:11: tags.1 has to be a text: 007 without quotes is a number in YAML, so wri",
    ),
    (
        GOOD + "owner: 2024-01-01\n",
        "6:8: owner has to be a text: 2024-01-01 without quotes is a date in YAML",
    ),
    (
        GOOD + "relationships: {object_type_id: 01, query: SELECT 1}\n",
        "6:33: relationships.object_type_id has to",
    ),
    (GOOD + "spread: 'yes'\n", "6:9: spread has to be true or false"),
    (GOOD + "on: x\n", "6:1: on is no key of a spec"),
    (GOOD.replace("warehouse", ""), "3:18: postgres_conn_id has to be a text, and is empty"),
    # Templates, also in a query of one line
    (GOOD.replace("FROM people", "FROM people WHERE at > {{ now }}"), "5:46: {{ now }} is not known here"),
    (GOOD.replace("SELECT id FROM people", '"SELECT {{ now }}"'), "5:21: {{ now }} is not known here"),
    (GOOD.replace("SELECT id FROM people", "|2\n    SELECT id\n      , {{ now }}"), "7:12: {{ now }} is"),
    # Queries
    (
        GOOD.replace("SELECT id FROM people", "DELETE FROM people"),
        "5:10: the query must be one SELECT, and begins",
    ),
    (GOOD.replace("people\n", "people; SELECT 2\n"), "5:33: the query must be one SELECT, and another"),
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
    (GOOD + "name: again\n", "6:1: name is here twice: YAML would take the last one only"),
    (GOOD + "people:\n\tquery: SELECT 1\n", "7:1: is indented with a tab: YAML needs spaces"),
    (GOOD + "schedule: */30 * * * *\n", "6:11: a text that begins with * needs quotes"),
    (GOOD + "description: Note: all\n", '6:18: is not YAML: a text with ": " in it needs quotes'),
    (GOOD + "start_date: 2024-02-30\n", "6:13: is not a valid timestamp: put a text into quotes"),
    (GOOD + "description: a\x01b\n", "6:15: has the character U+0001, which YAML"),
    ("name: [\n", "2:1: is not YAML: "),
    ("- a list\n", "1:1: has to be a mapping of keys"),
    ("", "1:1: name is missing"),
]


@pytest.mark.parametrize(("text", "fault"), MISTAKES)
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(folder: Folder, text: str, fault: str) -> None:
    """File, line and column, a sentence, and where it helps what somebody may have meant."""
    assert any(found.startswith(f"spec.yaml:{fault}") for found in folder.faults(text)), folder.faults(text)


def test_the_line_is_shown_with_a_caret(folder: Folder) -> None:
    """One sees the mistake without opening the file."""
    path = folder.write("spec.yaml", GOOD + "nulls: drop\n")
    with pytest.raises(SpecError) as error:
        folder.load(path.read_text())
    assert str(error.value) == (
        f"{path}:6:8: nulls cannot be drop: allowed are remove, skip\n"
        "    6 | nulls: drop\n"
        "      |        ^^^^"
    )


def test_all_mistakes_come_at_once(folder: Folder) -> None:
    """Nobody has to mend one to hear of the next, of whatever kind they are."""
    text = (
        "name: a\nname: b\nworkspace: production\npostgres_conn_id: warehouse\n"
        "people:\n  query: |\n    SELECT id FROM people\n    WHERE at >= {{ now }}\nnulls: drop\nretrys: 1\n"
    )
    assert [fault.split(": ")[0] for fault in folder.faults(text)] == [
        "spec.yaml:2:1",
        "spec.yaml:8:20",
        "spec.yaml:9:8",
        "spec.yaml:10:1",
    ]
