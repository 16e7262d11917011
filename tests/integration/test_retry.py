"""Failed rows that later runs read again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from airflow_provider_cio.engine import (
    Guards,
    PeopleQuery,
    PostgresSource,
    ReadBack,
    Rejections,
    RelationshipsQuery,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.engine.retry import MAX_FAILED_ROWS, FailedRow, FailedRows
from airflow_provider_cio.errors import ConfigurationError, QueryError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation
    from tests.conftest import Database
    from tests.integration.conftest import LocalWorkspace

TABLE = "CREATE TABLE people (id text, v text, email text, updated_at int)"
CHANGED = "SELECT id, v, email FROM people WHERE updated_at >= {} ORDER BY id"
#: Customer.io rejects longer values.
BAD = "x" * 1001


class Refusing(DryRun):
    """A workspace that refuses a whole batch because of one row, and does not name the row."""

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Refuse a batch with a value that is too long."""
        if any(BAD.encode() in operation for operation in operations):
            raise RefusedError("attributes.v", "invalid", "too long")
        return []


class Syncs:
    """Runs of one sync, which remember what an Airflow would remember.

    The tests count time by hand: `updated_at` is the number of the run in which a row changed.
    """

    def __init__(self, database: Database, workspace: LocalWorkspace, query: str = CHANGED) -> None:
        self.database = database
        self.workspace = workspace
        self.queries: dict[str, str] = {"people": query}
        self.last_sync_time = 0
        self.remembered: list[FailedRow] = []
        self.rejections = Rejections()
        self.failed = FailedRows()

    def sync(self, last_sync_time: int) -> Sync:
        """Return the sync, rendered."""
        relationships = self.queries.get("relationships", "").format(last_sync_time)
        return Sync(
            main=PeopleQuery(sql=self.queries["people"].format(last_sync_time)),
            relationships=RelationshipsQuery(sql=relationships, object_type_id="1")
            if relationships
            else None,
        )

    def run(self, *, retry: bool = True, into: DryRun | None = None, **options: Any) -> Summary:
        """Run the sync, and remember its failed rows in the form in which a file holds them."""
        self.failed = FailedRows(self.remembered, last_sync_time=self.last_sync_time, retry=retry)
        for kind, earliest in self.failed.earliest.items():
            self.failed.queries[kind] = self.queries[kind].format(earliest)
        self.rejections, summary = Rejections(), Summary(self.last_sync_time)
        source = PostgresSource(self.database.connect)
        with self.workspace.client() as client:
            run_sync(
                self.sync(self.last_sync_time),
                source,
                into or client,
                self.rejections,
                summary,
                failed_rows=self.failed,
                **options,
            )
        if not self.failed.hold_last_sync_time:
            stored = msgspec.json.encode(self.failed.rows)
            self.remembered = msgspec.json.decode(stored, type=list[FailedRow])
            self.last_sync_time += 1
        return summary

    def remembered_keys(self) -> set[tuple[str, ...]]:
        """Return the keys of the failed rows."""
        return {row.key for row in self.remembered}


@pytest.fixture
def syncs(database: Database, workspace: LocalWorkspace) -> Syncs:
    """Return the runs of a sync of an empty table."""
    database.execute(TABLE)
    return Syncs(database, workspace)


def counts(summary: Summary) -> tuple[int, int, int]:
    """Return the numbers of rows that were read, imported and failed."""
    return summary.rows_read, summary.rows_imported, summary.rows_failed


def test_a_run_sends_what_changed_and_what_failed_before(syncs: Syncs) -> None:
    """A failed row is read in each run until it is corrected. Then the run is Completed."""
    syncs.database.execute(
        "INSERT INTO people SELECT 't' || n, 'v', NULL, 0 FROM generate_series(1, 500) n;"
        f"UPDATE people SET v = '{BAD}' WHERE id IN ('t7', 't77', 't177')"
    )
    first = syncs.run()
    assert (first.status, counts(first), first.rows_newly_failed) == (
        Status.SOME_ROWS_FAILED,
        (500, 497, 3),
        3,
    )
    syncs.database.execute("UPDATE people SET v = 'w', updated_at = 1 WHERE id IN ('t1', 't2')")
    second = syncs.run()
    assert (second.status, counts(second), second.rows_newly_failed) == (
        Status.SOME_ROWS_FAILED,
        (5, 2, 3),
        0,
    )
    assert (second.rows_to_retry, second.most_tries, second.failing_since) == (
        3,
        2,
        syncs.remembered[0].failing_since,
    )
    assert "3 rows to retry, 0 of them new; failing since" in "\n".join(second.lines())
    assert sorted((each.row_index, each.tries) for each in syncs.rejections) == [(1, 2), (2, 2), (3, 2)]
    # The correction of t7 does not touch updated_at. Both other corrections do.
    syncs.database.execute(
        "UPDATE people SET v = 'good' WHERE id = 't7';"
        "UPDATE people SET v = 'good', updated_at = 2 WHERE id IN ('t77', 't177')"
    )
    third = syncs.run()
    assert (third.status, counts(third)) == (Status.COMPLETED, (3, 3, 0))
    assert syncs.remembered == []
    assert {person["v"] for person in syncs.workspace.attributes(["t7", "t77", "t177"]).values()} == {"good"}
    assert counts(syncs.run()) == (0, 0, 0)


def test_a_guard_does_not_judge_known_rows_again(syncs: Syncs) -> None:
    """Few rows change in most runs, so that the failed rows would be a large share of them."""
    syncs.database.execute(
        "INSERT INTO people SELECT 'g' || n, 'v', NULL, 0 FROM generate_series(1, 100) n;"
        f"UPDATE people SET v = '{BAD}' WHERE id IN ('g7', 'g77')"
    )
    guards = Guards(max_failed="5%")
    syncs.run(guards=guards)
    assert counts(syncs.run(guards=guards)) == (2, 0, 2)
    syncs.database.execute(f"INSERT INTO people VALUES ('g777', '{BAD}', NULL, 2)")
    with pytest.raises(ConfigurationError, match="1 of 1 rows of the people query failed"):
        syncs.run(guards=guards)


def test_a_row_that_the_query_no_longer_returns_is_forgotten(syncs: Syncs) -> None:
    """A deleted row cannot be sent any more, so it does not keep the sync from being Completed."""
    syncs.database.execute(f"INSERT INTO people VALUES ('gone', '{BAD}', NULL, 0)")
    syncs.run()
    syncs.database.execute("DELETE FROM people")
    assert syncs.run().status is Status.COMPLETED
    assert syncs.remembered == []


def test_a_row_without_identifier_is_reported_once(syncs: Syncs) -> None:
    """It cannot be found again, so it is not remembered, and the last sync time moves."""
    syncs.database.execute(f"INSERT INTO people VALUES (NULL, 'v', NULL, 0), ('{'y' * 151}', 'v', NULL, 0)")
    first = syncs.run()
    assert (first.status, first.rows_newly_failed, syncs.remembered) == (Status.SOME_ROWS_FAILED, 2, [])
    assert syncs.run().status is Status.COMPLETED


def test_too_many_failed_rows_hold_the_last_sync_time(syncs: Syncs) -> None:
    """10,000 rows are remembered. With one more, the next run reads every row again."""
    syncs.database.execute(
        f"INSERT INTO people SELECT 'm' || n, 'v', 'no address', 0"
        f" FROM generate_series(1, {MAX_FAILED_ROWS}) n"
    )
    syncs.run()
    assert (len(syncs.remembered), syncs.last_sync_time) == (MAX_FAILED_ROWS, 1)
    syncs.database.execute("INSERT INTO people VALUES ('more', 'v', 'no address', 1)")
    summary = syncs.run()
    assert (summary.rows_failed, summary.rows_newly_failed) == (MAX_FAILED_ROWS + 1, 1)
    assert (summary.next_last_sync_time, syncs.last_sync_time, len(syncs.remembered)) == (
        1,
        1,
        MAX_FAILED_ROWS,
    )
    syncs.database.execute("UPDATE people SET email = NULL")
    assert syncs.run().status is Status.COMPLETED


def test_after_a_change_to_hold_remembered_rows_are_not_lost(syncs: Syncs) -> None:
    """The last sync time is already beyond them, so they are read again until they are accepted."""
    syncs.database.execute(f"INSERT INTO people VALUES ('held', '{BAD}', NULL, 0)")
    syncs.run()
    summary = syncs.run(retry=False)
    assert (summary.rows_failed, summary.next_last_sync_time) == (1, 1)
    syncs.database.execute("UPDATE people SET v = 'good'")
    assert syncs.run(retry=False).rows_imported == 1
    assert syncs.remembered == []


def test_an_address_of_two_ids_is_found_again(syncs: Syncs) -> None:
    """Both rows are read again: alone, the second one would be accepted and not applied."""
    syncs.database.execute(
        "INSERT INTO people VALUES ('first', 'v', 'dup@example.com', 0);"
        "INSERT INTO people VALUES ('second', 'v', 'Dup@example.com', 0)"
    )
    syncs.run()
    assert syncs.remembered_keys() == {("second",)}
    assert counts(syncs.run()) == (2, 1, 1)
    syncs.database.execute("UPDATE people SET email = 'second@example.com' WHERE id = 'second'")
    assert syncs.run().status is Status.COMPLETED


def test_a_relationship_is_found_again_by_person_and_object(syncs: Syncs) -> None:
    """Other relationships of the person are not sent again."""
    syncs.database.execute(
        "CREATE TABLE members (id text, object_id int, role text, deleted text, updated_at int);"
        "INSERT INTO members SELECT 'boss', n, 'owner', 'perhaps', 0 FROM generate_series(1, 3) n;"
        "UPDATE members SET deleted = 'no' WHERE object_id <> 2"
    )
    syncs.queries["relationships"] = "SELECT id, object_id, role, deleted FROM members WHERE updated_at >= {}"
    assert counts(syncs.run()) == (3, 2, 1)
    assert syncs.remembered_keys() == {("boss", "2")}
    assert counts(syncs.run()) == (1, 0, 1)
    syncs.database.execute("UPDATE members SET deleted = 'no'")
    assert (counts(syncs.run()), syncs.remembered) == ((1, 1, 0), [])


def test_a_change_that_customerio_does_not_apply_is_tried_again(
    syncs: Syncs, workspace: LocalWorkspace
) -> None:
    """The activity log is read in each run, also for the rows that are read again."""
    syncs.database.execute(
        "INSERT INTO people VALUES ('retry1', 'v', 'retry1@example.com', 0);"
        "INSERT INTO people VALUES ('retry2', 'v', 'retry2@example.com', 0)"
    )
    read_back = ReadBack(workspace.app(), 0)
    assert syncs.run(read_back=read_back).status is Status.COMPLETED
    syncs.database.execute(
        "DELETE FROM people WHERE id = 'retry1';"
        "UPDATE people SET email = 'retry1@example.com', updated_at = 1 WHERE id = 'retry2'"
    )
    assert syncs.run(read_back=read_back).rows_newly_failed == 1
    again = syncs.run(read_back=read_back)
    assert (counts(again), again.rows_newly_failed, syncs.rejections[0].tries) == ((1, 0, 1), 0, 2)


def test_many_refusals_of_known_rows_do_not_end_the_run(syncs: Syncs) -> None:
    """A run ends when everything is refused with the same error, unless these rows were refused before."""
    syncs.database.execute(
        f"INSERT INTO people SELECT 'b' || n, '{BAD}', NULL, 0 FROM generate_series(1, 200) n;"
        "INSERT INTO people VALUES ('a', 'v', NULL, 0)"
    )
    for expected in (201, 200, 200):
        assert syncs.run(into=Refusing()).rows_read == expected


def test_a_query_whose_columns_depend_on_the_last_sync_time_is_refused(syncs: Syncs) -> None:
    """The failed rows would be read with other columns than the rest."""
    syncs.database.execute(f"INSERT INTO people VALUES ('c', '{BAD}', NULL, 0)")
    syncs.run()
    syncs.run()
    syncs.queries["people"] = 'SELECT id, v AS "v{}" FROM people'
    with pytest.raises(QueryError, match="has other columns with last_sync_time 0"):
        syncs.run()


@pytest.mark.parametrize(
    ("column", "value", "usable"),
    [
        ("int", "7", True),
        ("bigint", "-7", True),
        ("uuid", "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'", True),
        ("char(9)", "'pad'", True),
        ("varchar", r"E'a''b\"c\\d,{e}'", True),
        ("numeric", "1.50", True),
        ("interval", "'1 day'", True),
        ("name", "'n'", True),
        ('"char"', "'c'", True),
        ("money", "'1.5'", True),
        ("mood", "'sad'", True),
        ("text", "' '", False),
    ],
)
def test_an_identifier_of_any_type_is_found_again(
    syncs: Syncs, column: str, value: str, *, usable: bool
) -> None:
    """The text of an identifier in Postgres is not always the text that is sent. The row is found anyway."""
    syncs.database.execute(
        f"CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE typed (id {column}, v text);"
        f"INSERT INTO typed VALUES ({value}, '{BAD}')"
    )
    syncs.queries["people"] = "SELECT id, v FROM typed WHERE {} = 0"
    assert syncs.run().rows_failed == 1
    assert counts(syncs.run()) == ((1, 0, 1) if usable else (0, 0, 0))


def test_newer_rows_of_an_identifier_are_applied_after_failed_ones(syncs: Syncs) -> None:
    """A query can return several rows of a person. The last one wins, as in every run."""
    syncs.database.execute(f"INSERT INTO people VALUES ('n', '{BAD}', NULL, 0)")
    syncs.run()
    syncs.database.execute("UPDATE people SET v = 'old'; INSERT INTO people VALUES ('n', 'new', NULL, 1)")
    syncs.queries["people"] = CHANGED.replace("ORDER BY id", "ORDER BY updated_at")
    syncs.run()
    assert syncs.workspace.attributes(["n"])["n"]["v"] == "new"


@pytest.mark.parametrize("seed", range(5))
def test_the_workspace_converges_to_the_database(syncs: Syncs, seed: int) -> None:
    """Rows that fail, heal, change and disappear at random: the workspace always has all valid rows.

    Some runs end before they store anything, as if they were killed; others store only the failed rows and
    not the last sync time.
    """
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    ids = [f"p{seed}n{n}" for n in range(40)]
    failing: set[str] = set()
    for turn in range(25):
        for id_ in chance.sample(ids, 8):
            value = chance.choice(["good", "good", BAD]) + f" {turn}"
            syncs.database.execute(
                f"DELETE FROM people WHERE id = '{id_}'"
                if chance.random() < 0.2
                else f"DELETE FROM people WHERE id = '{id_}';"
                f"INSERT INTO people VALUES ('{id_}', '{value}', NULL, {turn})"
            )
        # A correction elsewhere, such as in a joined table, changes a row and not its time.
        if failing and chance.random() < 0.5:
            healed = chance.choice(sorted(failing))
            syncs.database.execute(f"UPDATE people SET v = 'healed {turn}' WHERE id = '{healed}'")
        before = syncs.last_sync_time, syncs.remembered
        summary = syncs.run()
        rows: dict[str, str] = dict(syncs.database.connection.execute("SELECT id, v FROM people").fetchall())
        failing = {id_ for id_, value in rows.items() if value.startswith(BAD)}
        assert {row.key[0] for row in syncs.failed.rows} == failing
        assert (summary.status is Status.COMPLETED) is (not failing)
        valid = {id_: value for id_, value in rows.items() if id_ not in failing}
        found = syncs.workspace.attributes(sorted(valid))
        assert {id_: person["v"] for id_, person in found.items()} == valid
        match chance.choice(["stored", "stored", "killed", "killed between"]):
            case "stored":
                syncs.last_sync_time = turn + 1
            case "killed":
                syncs.last_sync_time, syncs.remembered = before
            case "killed between":
                syncs.last_sync_time = before[0]
