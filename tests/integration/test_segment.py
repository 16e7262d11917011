"""Adding people to a manual segment, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.engine import (
    PeopleQuery,
    PostgresSource,
    Rejections,
    RelationshipsQuery,
    Summary,
    Sync,
)
from airflow_provider_cio.engine import run_sync as run
from airflow_provider_cio.engine.delivery.segment import find_segment
from airflow_provider_cio.errors import ConfigurationError, CredentialsError
from airflow_provider_cio.track import AppClient

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.conftest import LocalWorkspace


def sync(workspace: LocalWorkspace, database: Database, segment: int, sql: str) -> Summary:
    """Import people into a segment."""
    summary = Summary(0)
    with workspace.client() as client:
        people = Sync(main=PeopleQuery(sql=sql), segment=segment)
        run(people, PostgresSource(database.connect), client, Rejections(), summary)
    return summary


def test_accepted_people_are_added_with_their_identifier(
    workspace: LocalWorkspace, database: Database
) -> None:
    """Rejected people are not added, and each person is counted once."""
    segment = find_segment(workspace.app(), segment_id=None, name="By their own identifier")
    summary = sync(
        workspace,
        database,
        segment,
        """
        VALUES ('seg1', NULL, 'x'), ('seg1', NULL, 'again'), (NULL, 'Seg2@b.co', 'x'), (NULL, NULL, 'x'),
               ('seg4', NULL, repeat('x', 2000))
        """.replace("VALUES", "SELECT * FROM (VALUES")
        + ") AS t (id, email, note)",
    )
    assert workspace.members(segment) == {"seg1", "Seg2@b.co"}
    assert (summary.added_to_segment, summary.rows_imported, summary.rows_failed) == (2, 3, 2)


def test_a_request_adds_1000_people(workspace: LocalWorkspace, database: Database) -> None:
    """2,500 people need three requests, besides those that import them."""
    segment = find_segment(workspace.app(), segment_id=None, name="Many")
    query = "SELECT 'many' || n AS id FROM generate_series(1, 2500) n"
    with workspace.client() as client:
        summary = Summary(0)
        without = Sync(main=PeopleQuery(sql=query))
        run(without, PostgresSource(database.connect), client, Rejections(), summary)
    requests_without = summary.requests
    summary = sync(workspace, database, segment, query)
    assert (summary.added_to_segment, summary.requests) == (2500, requests_without + 3)
    assert len(workspace.members(segment)) == 2500


def test_people_of_relationships_are_not_added(workspace: LocalWorkspace, database: Database) -> None:
    """Only people of the main query are added."""
    segment = find_segment(workspace.app(), segment_id=None, name="Only the main query")
    people = Sync(
        main=PeopleQuery(sql="SELECT 'main1' AS id"),
        relationships=RelationshipsQuery(sql="SELECT 'rel1' AS id, 'c1' AS object_id", object_type_id="1"),
        segment=segment,
    )
    with workspace.client() as client:
        run(people, PostgresSource(database.connect), client, Rejections(), Summary(0))
    assert workspace.members(segment) == {"main1"}


def test_a_segment_is_found_by_name_and_created_once(workspace: LocalWorkspace) -> None:
    """Two runs with the same name of a segment use the same segment."""
    first = find_segment(workspace.app(), segment_id=None, name="Created once")
    assert find_segment(workspace.app(), segment_id=None, name="Created once") == first
    assert find_segment(workspace.app(), segment_id=first, name=None) == first


@pytest.mark.parametrize(
    ("number", "name", "message"),
    [
        (1, None, "segment 1 is data-driven"),
        (None, "Everyone", "segment named 'Everyone' is data-driven"),
        (98765, None, "The workspace has no segment 98765"),
        (None, "Twins", "more than one segment named 'Twins'"),
    ],
)
def test_a_segment_that_cannot_be_used_is_refused(
    workspace: LocalWorkspace, number: int | None, name: str | None, message: str
) -> None:
    """The error is raised before anything is sent."""
    if name == "Twins":
        for _ in range(2):
            workspace.app().create_segment("Twins")
    with pytest.raises(ConfigurationError, match=message):
        find_segment(workspace.app(), segment_id=number, name=name)


def test_a_segment_that_customerio_refuses_is_a_configuration_error(
    workspace: LocalWorkspace, database: Database
) -> None:
    """Without an App API key, only Customer.io can reject a data-driven segment."""
    with pytest.raises(ConfigurationError, match="refuses to add people to segment 1"):
        sync(workspace, database, 1, "SELECT 'refused1' AS id")


def test_the_error_for_a_wrong_app_key_names_the_app_api_key(workspace: LocalWorkspace) -> None:
    """The App API key is not the key of the Track API."""
    with pytest.raises(CredentialsError, match="App API key") as error:
        AppClient(api_key="wrong-wrong", base_url=workspace.emulator.url).segments()
    assert "wrong-wrong" not in str(error.value)


def test_a_request_that_adds_people_is_repeated(workspace: LocalWorkspace, database: Database) -> None:
    """A request that adds people is repeated like every other request."""
    segment = find_segment(workspace.app(), segment_id=None, name="Asked again")
    workspace.faults(schedule=[None, "429", "503"])
    assert sync(workspace, database, segment, "SELECT 'again1' AS id").added_to_segment == 1
    assert workspace.members(segment) == {"again1"}


def test_people_with_unusual_identifiers_are_added_unchanged(
    workspace: LocalWorkspace, database: Database
) -> None:
    """Quotes, backslashes, brackets and control characters have no special meaning on the way."""
    names = ["O'Brien", 'seg "q" \\ \\n', "seg\ttab\x01\x7f", '["id","x"]', '{"seg": null}', "ünï 😀", "007"]
    addresses = ['"quoted,local"@seg.co', "jörg@seg.co"]
    database.execute("CREATE TABLE t (id text, email text)")
    with database.connection.cursor() as cursor:
        cursor.executemany("INSERT INTO t (id) VALUES (%s)", [(name,) for name in names])
        cursor.executemany("INSERT INTO t (email) VALUES (%s)", [(address,) for address in addresses])
    segment = find_segment(workspace.app(), segment_id=None, name="Unusual")
    assert sync(workspace, database, segment, "SELECT * FROM t").added_to_segment == 9
    assert workspace.members(segment) == {*names, *addresses}
