"""Objects and relationships, from Postgres into a workspace."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_cio.engine import (
    ObjectsQuery,
    PeopleQuery,
    PostgresSource,
    Rejection,
    Rejections,
    RelationshipsQuery,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.track import TrackClient
    from airflow_provider_cio.track.rejected_operation import RejectedOperation
    from tests.conftest import Database
    from tests.integration.conftest import LocalWorkspace

NO_ROWS = "SELECT 'x' AS id WHERE false"


def run(sync: Sync, database: Database, client: TrackClient) -> tuple[Summary, list[Rejection]]:
    """Run a sync."""
    summary = Summary(0)
    rejections = Rejections()
    run_sync(sync, PostgresSource(database.connect), client, rejections, summary)
    return summary, rejections


def relationships(workspace: LocalWorkspace, person: str) -> dict[str, dict[str, Any]]:
    """Return the relationships of a person: object ids with attributes."""
    response = requests.get(
        f"{workspace.emulator.url}/v1/customers/{person}/relationships",
        headers=workspace.emulator.app_headers,
        timeout=30,
    )
    response.raise_for_status()
    return {
        entry["identifiers"]["object_id"]: entry["attributes"]
        for entry in response.json()["cio_relationships"]
    }


def test_objects_and_their_relationships_arrive(database: Database, workspace: LocalWorkspace) -> None:
    """Objects arrive first, and then their relationships, with attributes."""
    sync = Sync(
        main=ObjectsQuery(
            sql="SELECT 'co' || n AS object_id, 'Company ' || n AS name FROM generate_series(1, 300) n",
            object_type_id="1",
        ),
        relationships=RelationshipsQuery(
            sql="SELECT 'op' || n AS id, 'co' || n AS object_id, n % 3 AS level"
            " FROM generate_series(1, 300) n",
            object_type_id="1",
        ),
    )
    summary, rejections = run(sync, database, workspace.client())
    assert not rejections
    assert summary.as_dict()["queries"] == {
        "objects": {"read": 300, "imported": 300, "failed": 0},
        "relationships": {"read": 300, "imported": 300, "failed": 0},
    }
    assert relationships(workspace, "op7") == {"co7": {"level": "1"}}
    response = requests.get(
        f"{workspace.emulator.url}/v1/objects/1/co7/attributes",
        headers=workspace.emulator.app_headers,
        timeout=30,
    )
    assert response.json()["object"]["attributes"]["name"] == "Company 7"


def test_relationships_of_a_pair_are_added_and_removed_in_row_order(
    database: Database, workspace: LocalWorkspace
) -> None:
    """The last row of a pair decides, also when the main query has no rows."""
    database.execute(
        "CREATE TABLE r AS SELECT n, 'rp' || n % 50 AS id, 'ro' || n % 50 AS object_id, n % 4 < 2 AS deleted"
        " FROM generate_series(0, 4999) n"
    )
    query = RelationshipsQuery(sql="SELECT id, object_id, deleted FROM r ORDER BY n", object_type_id="1")
    sync = Sync(main=PeopleQuery(sql=NO_ROWS), relationships=query)
    summary, _ = run(sync, database, workspace.client())
    assert summary.queries["relationships"].imported == 5000
    last = database.connection.execute("SELECT id, object_id, deleted FROM r WHERE n >= 4950").fetchall()
    for person, object_id, deleted in last:
        assert relationships(workspace, person) == ({} if deleted else {object_id: {}})


def test_columns_of_relationships_are_checked_before_people_are_sent(
    database: Database, workspace: LocalWorkspace
) -> None:
    """All queries are checked before the first request."""
    client = workspace.client()
    sync = Sync(
        main=PeopleQuery(sql="SELECT 'early' AS id"),
        relationships=RelationshipsQuery(sql="SELECT 'early' AS id", object_type_id="1"),
    )
    with pytest.raises(QueryError, match="no column object_id"):
        run(sync, database, client)
    assert client.requests == 0


def test_rejections_of_both_queries_keep_the_last_sync_time(
    database: Database, workspace: LocalWorkspace
) -> None:
    """Valid rows of both queries arrive, and each rejection has the name of its query."""
    sync = Sync(
        main=PeopleQuery(sql="SELECT 'rk' AS id, repeat('x', 1001) AS v"),
        relationships=RelationshipsQuery(
            sql="SELECT 'rk' AS id, object_id FROM (VALUES ('k1'), (NULL)) v (object_id)", object_type_id="1"
        ),
    )
    summary, rejections = run(sync, database, workspace.client())
    assert [(rejection.query, rejection.row_index) for rejection in rejections] == [
        ("people", 1),
        ("relationships", 2),
    ]
    assert summary.next_last_sync_time == 0
    assert relationships(workspace, "rk") == {"k1": {}}


class RecordingWorkspace(DryRun):
    """A workspace that responds slowly and records the order of what it receives."""

    max_concurrent_requests = 4

    def __init__(self) -> None:
        self.done: list[str] = []

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Accept all operations after a short wait."""
        time.sleep(0.05)
        self.done += [json.loads(operation)["action"] for operation in operations]
        return []

    def add_to_segment(self, segment: int, id_type: Identifier, people: Sequence[str]) -> None:  # noqa: ARG002 - a Workspace has it
        """Record the call."""
        self.done.append("segment")


def test_people_come_first_then_relationships_then_the_segment(database: Database) -> None:
    """Each step waits for all verdicts of the step before, however many requests are in flight."""
    sync = Sync(
        main=PeopleQuery(sql="SELECT n AS id, repeat('x', 900) AS v FROM generate_series(1, 3000) n"),
        relationships=RelationshipsQuery(
            sql="SELECT n AS id, 'co' AS object_id FROM generate_series(1, 3000) n", object_type_id="1"
        ),
        segment=7,
    )
    workspace = RecordingWorkspace()
    run_sync(sync, PostgresSource(database.connect), workspace, Rejections(), Summary(0))
    phases = [phase for phase, _ in itertools.groupby(workspace.done)]
    assert phases == ["identify", "add_relationships", "segment"]
