"""Specs: what they may say, and errors that name the line."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.errors import SpecError
from airflow_provider_cio.specs import find_specs, load_spec

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
name: active_people
workspace: production
postgres_conn_id: warehouse
people:
  query: SELECT id FROM people
"""


def spec(folder: Path, text: str) -> Path:
    """Write a spec."""
    path = folder / "spec.yaml"
    path.write_text(text)
    return path


def test_a_spec_needs_little(tmp_path: Path) -> None:
    """Everything but name, workspace, source and query has a default."""
    loaded = load_spec(spec(tmp_path, GOOD))
    assert loaded.connection() == "customerio_production"
    assert (loaded.schedule, loaded.nulls, loaded.timestamps, loaded.retries) == (None, "remove", "unix", 2)
    assert (loaded.overlap, loaded.max_lookback) == (dt.timedelta(seconds=60), dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (GOOD + "schedul: '* * * * *'\n", 6, "schedul is no key of a spec: did you mean schedule?"),
        (GOOD + "  identify: id\n", 6, "people.identify is no key of a spec: did you mean identify_by?"),
        (GOOD.replace("name: active_people\n", ""), 1, "name is missing"),
        (GOOD.replace("active_people", "Active People"), 1, "name: String should match"),
        (GOOD + "schedule: every day\n", 6, "schedule: is no cron expression"),
        (GOOD + "overlap: 5\n", 6, "overlap: give a number and a unit"),
        (GOOD + "nulls: drop\n", 6, "nulls: Input should be 'remove' or 'skip'"),
        (
            GOOD.replace("  query: SELECT id FROM people\n", "  identify_by: id\n"),
            4,
            "people.query is missing",
        ),
        (GOOD + "tags: [a, 1]\n", 6, "tags.1: "),
        (GOOD + "objects: {object_type_id: '1', query: SELECT 1}\n", 1, "give people or objects"),
        (GOOD + "relationships: {query: SELECT 1}\n", 1, "relationships needs object_type_id"),
        (GOOD + "relationships: {query: SELECT 1, object_type: '1'}\n", 6, "relationships.object_type is no"),
        (GOOD + "start_date: 2024-02-30\n", 1, "cannot be read: day is out of range"),
        (GOOD + "description: a\x01b\n", 1, "cannot be read: "),
        (GOOD + "overlap: 99999999999 days\n", 6, "overlap: is longer than"),
        (GOOD + f"tags: [{'x' * 101}]\n", 6, "tags.0: "),
        ("name: [\n", 2, "is no YAML"),
        ("- a list\n", 1, "a spec is a mapping"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    """Whoever reads it knows where to look and what is allowed."""
    path = spec(tmp_path, text)
    with pytest.raises(SpecError) as error:
        load_spec(path)
    assert str(error.value).startswith(f"{path}:{line}: {message}")


def test_objects_give_their_type_to_relationships(tmp_path: Path) -> None:
    """With objects, the type has to be said once only."""
    text = GOOD.replace("people:", "objects:\n  object_type_id: '1'") + "relationships: {query: SELECT 1}\n"
    loaded = load_spec(spec(tmp_path, text))
    assert loaded.objects
    assert loaded.relationships
    assert (loaded.objects.object_type_id, loaded.relationships.object_type_id) == ("1", None)


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    """Nobody has to mend one mistake to hear of the next."""
    with pytest.raises(SpecError) as error:
        load_spec(spec(tmp_path, GOOD + "nulls: drop\nretrys: 1\n"))
    assert [line for line, _ in error.value.faults] == [6, 7]


def test_specs_are_found_in_folders_in_a_stable_order(tmp_path: Path) -> None:
    """Folders are for people; the order is for Airflow, to which another order is another version."""
    for name in ("b.yaml", "a.yml", "team/c.yaml", "notes.txt", "..2024/b.yaml", ".hidden.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_specs(tmp_path)] == ["a.yml", "b.yaml", "c.yaml"]
