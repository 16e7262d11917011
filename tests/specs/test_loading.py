"""Specs, defaults and the queries in files of their own."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.specs import SpecFolder
from airflow_provider_cio.specs.effective import spec_text
from airflow_provider_cio.specs.problems import SpecError
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from tests.specs.conftest import Folder


def test_a_spec_needs_little(folder: Folder) -> None:
    """Everything but name, workspace, source and query has a default."""
    spec = folder.load()
    assert (spec.dag_id, spec.connection) == ("customerio.production.active_people", "customerio_production")
    assert (spec.schedule, spec.nulls, spec.timestamps, spec.retries) == (None, "remove", "unix", 2)
    assert (spec.overlap, spec.max_lookback) == (None, dt.timedelta(hours=1))


def test_objects_give_their_type_to_relationships(folder: Folder) -> None:
    """With objects, the type has to be said once only."""
    text = GOOD.replace("people:", "objects:\n  object_type_id: '1'") + "relationships: {query: SELECT 1}\n"
    spec = folder.load(text)
    assert spec.objects
    assert spec.relationships
    assert (spec.objects.object_type_id, spec.relationships.object_type_id) == ("1", None)


def test_specs_are_found_in_folders_in_a_stable_order(folder: Folder) -> None:
    """Folders are for people; the order is for Airflow, to which another order is another version."""
    names = ("b.yaml", "a.yml", "team/c.yaml", "team/defaults.yaml", "notes.txt", "..2024/b.yaml", ".x.yaml")
    for name in names:
        folder.write(name, "")
    assert [path.name for path in SpecFolder(folder.root).paths()] == ["a.yml", "b.yaml", "c.yaml"]


def test_the_nearest_defaults_win(folder: Folder) -> None:
    """Defaults hold in their folder and below; what the spec itself says wins; lists are not merged."""
    folder.write("defaults.yaml", "workspace: production\nowner: platform\ntags: [crm]\nretries: 5\n")
    folder.write("growth/defaults.yaml", "owner: growth\ntags: [growth]\n")
    text = GOOD.replace("workspace: production\n", "") + "retries: 1\n"
    spec = folder.load(text, "growth/emea/people.yaml")
    assert (spec.workspace, spec.owner, spec.tags, spec.retries) == ("production", "growth", ("growth",), 1)


def test_defaults_above_the_folder_do_not_count(folder: Folder) -> None:
    """What the factory is given is all that there is."""
    folder.write("defaults.yaml", "owner: platform\n")
    path = folder.write("syncs/people.yaml", GOOD)
    assert SpecFolder(folder.root / "syncs").load(path).owner == "airflow"


def test_mistakes_in_defaults_are_named_in_their_file(folder: Folder) -> None:
    """Also those that show only with a spec; what belongs to one spec alone is none of theirs."""
    folder.write("defaults.yaml", "workspace: production\nname: everybody\nretrys: 3\nnulls: drop\n")
    assert folder.faults(GOOD) == [
        "defaults.yaml:2:1: name is no key of defaults: every spec has its own",
        "defaults.yaml:3:1: retrys is no key of defaults: did you mean retries?",
        "defaults.yaml:4:8: nulls cannot be drop: allowed are remove, skip",
    ]
    folder.write("defaults.yaml", "spread: true\n")
    assert folder.faults(GOOD)[0].startswith("spec.yaml:1:1: spread needs a schedule such as every")


def test_a_query_may_have_a_file_of_its_own(folder: Folder) -> None:
    """It lies beside the spec; the spec then has its text."""
    folder.write("team/people.sql", "SELECT id\nFROM people\n")
    spec = folder.load(GOOD.replace("query: SELECT id FROM people", "query_file: people.sql"), "team/a.yaml")
    assert spec.people
    assert (spec.people.query, spec.people.query_file) == ("SELECT id\nFROM people\n", "people.sql")


def test_mistakes_with_query_files(folder: Folder) -> None:
    """One that is not there, one beside a query, and a template in it that is not known, at its own place."""
    file = GOOD.replace("query: SELECT id FROM people", "query_file: poeple.sql")
    assert folder.faults(file) == [
        "spec.yaml:5:15: there is no readable file poeple.sql beside the spec, nor any other .sql file"
    ]
    folder.write("people.sql", "SELECT id\nFROM people WHERE at > {{ last_sync }}\n")
    assert folder.faults(file)[0].endswith("beside the spec: did you mean people.sql?")
    assert folder.faults(file.replace("poeple", "people")) == [
        "people.sql:2:27: {{ last_sync }} is not known here: did you mean last_sync_time?"
    ]
    assert folder.faults(GOOD + "  query_file: people.sql\n") == [
        "spec.yaml:6:3: give query or query_file, one of the two"
    ]


def test_a_query_file_lies_in_the_folder(folder: Folder) -> None:
    """Its text is shown in Airflow, so no other file of the machine is read, also through a link."""
    outside = folder.write("secret.sql", "SELECT 'a secret'")
    (folder.root / "syncs").mkdir()
    (folder.root / "syncs" / "link.sql").symlink_to(outside)
    for file in ("../secret.sql", "link.sql", str(outside)):
        text = GOOD.replace("query: SELECT id FROM people", f"query_file: {file}")
        path = folder.write("syncs/spec.yaml", text)
        with pytest.raises(SpecError, match="there is no readable file"):
            SpecFolder(folder.root / "syncs").load(path)


def test_of_two_specs_with_one_name_the_file_of_that_name_is_used(folder: Folder) -> None:
    """The other is a mistake that names both; the same name in another workspace is none."""
    first = folder.write("a.yaml", GOOD)
    second = folder.write("active_people.yaml", GOOD)
    other = folder.write("other.yaml", GOOD.replace("production", "staging"))
    specs, errors = SpecFolder(folder.root).load_all([first, second, other])
    assert list(specs) == [second, other]
    assert isinstance(errors[first], SpecError)
    assert f"a.yaml:1:7: is also the name of {second}" in str(errors[first])


def test_names_are_read_from_a_broken_spec(folder: Folder) -> None:
    """Even from one that is no YAML, so that its DAG keeps its id; the workspace may stand in defaults."""
    folder.write("defaults.yaml", "workspace: production\n")
    names = SpecFolder(folder.root).names
    assert names(folder.write("a.yaml", "name: broken # not yet\npeople: [\n")) == ("production", "broken")
    assert names(folder.write("b.yaml", "workspace: 'eu'\nname: \"quoted\"\n\t")) == ("eu", "quoted")
    assert names(folder.write("c.yaml", "people: []\n")) is None


def test_what_a_spec_becomes_can_be_shown(folder: Folder) -> None:
    """With its defaults, the names by which one finds it in Airflow, and its times; as YAML that loads."""
    folder.write("defaults.yaml", "owner: growth\nschedule: {every: 90 minutes}\n")
    text = spec_text(folder.load(GOOD + "  segment: {id: 7}\n"))
    assert text.startswith(
        "# DAG customerio.production.active_people, pool customerio.production\n"
        "# Variable customerio.production.active_people.last_sync_time\n"
        "# runs at 0 */3 * * * and at 30 1-23/3 * * * (UTC)\n"
        "name: active_people\n"
    )
    shown = folder.load(text, "shown.yaml")
    assert shown == folder.load(GOOD + "  segment: {id: 7}\ncustomerio_conn_id: customerio_production\n")
    assert (shown.owner, shown.max_lookback) == ("growth", dt.timedelta(hours=1))


def test_branches_of_a_query_are_not_taken_for_statements(folder: Folder) -> None:
    """One of them is run, with its own quotes and semicolon."""
    query = "{% if last_sync_time %}SELECT 'a';{% else %}SELECT 'b';{% endif %}"
    assert folder.load(GOOD.replace("SELECT id FROM people", f'"{query}"')).people


def test_a_query_may_end_in_the_name_of_a_file(folder: Folder) -> None:
    """Only what is nothing but such a name is taken for one."""
    query = "SELECT id FROM people -- see people.sql"
    spec = folder.load(GOOD.replace("SELECT id FROM people", query))
    assert spec.people
    assert spec.people.query == query
