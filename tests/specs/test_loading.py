"""Specs, defaults, and queries in separate files."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.specs import SpecFolder
from airflow_provider_cio.specs.effective import effective_yaml
from airflow_provider_cio.specs.problems import SpecError
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from tests.specs.conftest import Folder


def test_a_spec_needs_little(folder: Folder) -> None:
    """Every key but name, workspace, source and query has a default."""
    spec = folder.load()
    assert (spec.dag_id, spec.connection) == ("customerio.production.active_people", "customerio_production")
    assert (spec.schedule, spec.nulls, spec.timestamps, spec.retries) == (None, "remove", "unix", 2)
    assert (spec.overlap, spec.max_lookback) == (None, dt.timedelta(hours=1))


def test_objects_give_their_type_to_relationships(folder: Folder) -> None:
    """The relationships of a spec with objects need no type of their own."""
    text = GOOD.replace("people:", "objects:\n  object_type_id: '1'") + "relationships: {query: SELECT 1}\n"
    spec = folder.load(text)
    assert spec.objects
    assert spec.relationships
    assert (spec.objects.object_type_id, spec.relationships.object_type_id) == ("1", None)


def test_specs_are_found_in_folders_in_a_stable_order(folder: Folder) -> None:
    """Airflow would take another order for a new version of the DAGs."""
    names = ("b.yaml", "a.yml", "team/c.yaml", "team/defaults.yaml", "notes.txt", "..2024/b.yaml", ".x.yaml")
    for name in names:
        folder.write(name, "")
    assert [path.name for path in SpecFolder(folder.root).paths()] == ["a.yml", "b.yaml", "c.yaml"]


def test_the_nearest_defaults_win(folder: Folder) -> None:
    """Defaults apply to their folder and the folders in it. A key of the spec wins. Lists are not merged."""
    folder.write("defaults.yaml", "workspace: production\nowner: platform\ntags: [crm]\nretries: 5\n")
    folder.write("growth/defaults.yaml", "owner: growth\ntags: [growth]\n")
    text = GOOD.replace("workspace: production\n", "") + "retries: 1\n"
    spec = folder.load(text, "growth/emea/people.yaml")
    assert (spec.workspace, spec.owner, spec.tags, spec.retries) == ("production", "growth", ("growth",), 1)


def test_defaults_above_the_folder_do_not_count(folder: Folder) -> None:
    """Only files in the folder that `build_dags` receives apply."""
    folder.write("defaults.yaml", "owner: platform\n")
    path = folder.write("syncs/people.yaml", GOOD)
    assert SpecFolder(folder.root / "syncs").load(path).owner == "airflow"


def test_mistakes_in_defaults_are_named_in_their_file(folder: Folder) -> None:
    """A mistake that combines defaults and a spec is reported in the spec."""
    folder.write("defaults.yaml", "workspace: production\nname: everybody\nretrys: 3\nnulls: drop\n")
    assert folder.problems(GOOD) == [
        "defaults.yaml:2:1: name cannot be in the defaults: set it in each spec",
        "defaults.yaml:3:1: unknown key retrys: did you mean retries?",
        "defaults.yaml:4:8: nulls cannot be drop: allowed are remove, skip",
    ]
    folder.write("defaults.yaml", "spread: true\n")
    assert folder.problems(GOOD)[0].startswith("spec.yaml:1:1: spread needs a schedule such as every")


def test_a_query_may_have_a_file_of_its_own(folder: Folder) -> None:
    """The file is in the folder of the spec, and its text becomes the query."""
    folder.write("team/people.sql", "SELECT id\nFROM people\n")
    spec = folder.load(GOOD.replace("query: SELECT id FROM people", "query_file: people.sql"), "team/a.yaml")
    assert spec.people
    assert (spec.people.query, spec.people.query_file) == ("SELECT id\nFROM people\n", "people.sql")


def test_mistakes_with_query_files(folder: Folder) -> None:
    """A missing file, a file beside a query, and an unknown name in the file, at its position in the file."""
    file = GOOD.replace("query: SELECT id FROM people", "query_file: poeple.sql")
    (problem,) = folder.problems(file)
    assert problem.startswith(
        "spec.yaml:5:15: there is no readable file poeple.sql in the folder of the spec"
    )
    assert problem.endswith(", and no other .sql file")
    folder.write("people.sql", "SELECT id\nFROM people WHERE at > {{ last_sync }}\n")
    assert folder.problems(file)[0].endswith("in the folder of the spec: did you mean people.sql?")
    assert folder.problems(file.replace("poeple", "people")) == [
        "people.sql:2:27: {{ last_sync }} is an unknown name: did you mean last_sync_time?"
    ]
    assert folder.problems(GOOD + "  query_file: people.sql\n") == [
        "spec.yaml:6:3: give either query or query_file"
    ]


def test_a_query_file_lies_in_the_folder(folder: Folder) -> None:
    """Airflow displays its text, so no file outside of the folder is read, not even through a link."""
    outside = folder.write("secret.sql", "SELECT 'a secret'")
    (folder.root / "syncs").mkdir()
    (folder.root / "syncs" / "link.sql").symlink_to(outside)
    for file in ("../secret.sql", "link.sql", str(outside)):
        text = GOOD.replace("query: SELECT id FROM people", f"query_file: {file}")
        path = folder.write("syncs/spec.yaml", text)
        with pytest.raises(SpecError, match="there is no readable file"):
            SpecFolder(folder.root / "syncs").load(path)


def test_of_two_specs_with_one_name_the_file_of_that_name_is_used(folder: Folder) -> None:
    """The other spec is an error that names both files. The same name in another workspace is allowed."""
    first = folder.write("a.yaml", GOOD)
    second = folder.write("active_people.yaml", GOOD)
    other = folder.write("other.yaml", GOOD.replace("production", "staging"))
    specs, errors = SpecFolder(folder.root).load_all([first, second, other])
    assert list(specs) == [second, other]
    assert isinstance(errors[first], SpecError)
    assert f"a.yaml:1:7: {second} in the same workspace has this name too" in str(errors[first])


def test_names_are_read_from_a_broken_spec(folder: Folder) -> None:
    """A file that is not YAML has names too, so that its DAG keeps its id. Defaults can set the workspace."""
    folder.write("defaults.yaml", "workspace: production\n")
    names = SpecFolder(folder.root).names
    assert names(folder.write("a.yaml", "name: broken # not yet\npeople: [\n")) == ("production", "broken")
    assert names(folder.write("b.yaml", "workspace: 'eu'\nname: \"quoted\"\n\t")) == ("eu", "quoted")
    assert names(folder.write("c.yaml", "people: []\n")) is None


def test_the_effective_spec_is_yaml_that_loads(folder: Folder) -> None:
    """It has the defaults, and comments with its names in Airflow and its schedule."""
    folder.write("defaults.yaml", "owner: growth\nschedule: {every: 90 minutes}\n")
    text = effective_yaml(folder.load(GOOD + "  segment: {id: 7}\n"))
    assert text.startswith(
        "# DAG customerio.production.active_people, pool customerio.production\n"
        "# Variable customerio.production.active_people.last_sync_time\n"
        "# runs at 0 */3 * * * and at 30 1-23/3 * * * (UTC)\n"
        "name: active_people\n"
    )
    loaded = folder.load(text, "loaded.yaml")
    assert loaded == folder.load(GOOD + "  segment: {id: 7}\ncustomerio_conn_id: customerio_production\n")
    assert (loaded.owner, loaded.max_lookback) == ("growth", dt.timedelta(hours=1))


def test_branches_of_a_query_are_not_taken_for_statements(folder: Folder) -> None:
    """A run has only one of the branches, each with its own quotes and semicolon."""
    query = "{% if last_sync_time %}SELECT 'a';{% else %}SELECT 'b';{% endif %}"
    assert folder.load(GOOD.replace("SELECT id FROM people", f'"{query}"')).people


def test_a_query_may_end_in_the_name_of_a_file(folder: Folder) -> None:
    """Only a query that is nothing but the name of a file is refused."""
    query = "SELECT id FROM people -- see people.sql"
    spec = folder.load(GOOD.replace("SELECT id FROM people", query))
    assert spec.people
    assert spec.people.query == query
