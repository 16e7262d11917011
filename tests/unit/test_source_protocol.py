"""The engine needs nothing of a database but the `Source` protocol."""

from __future__ import annotations

import ast
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import airflow_provider_cio.engine
from airflow_provider_cio.engine import (
    ObjectsQuery,
    PeopleQuery,
    Rejections,
    RelationshipsQuery,
    Status,
    Summary,
    Sync,
    run_sync,
)
from airflow_provider_cio.engine.delivery.dry_run import DryRun
from airflow_provider_cio.engine.preview import preview
from airflow_provider_cio.engine.sources import Column, Kind, Match, Row, Rows, Snapshot, Source, Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation

NEXT_LAST_SYNC_TIME = 1_700_000_000
ID = Column("id", Kind.TEXT, padded=True)
OBJECT_ID = Column("object_id", Kind.INTEGER)


@dataclass
class ListRows:
    """Rows from a list, in chunks of two."""

    columns: Sequence[Column]
    rows: Sequence[Row]

    def __iter__(self) -> Iterator[list[Row]]:
        for start in range(0, len(self.rows), 2):
            yield list(self.rows[start : start + 2])


@dataclass
class ListSnapshot:
    """Results by query."""

    results: dict[str, ListRows]
    watermark: Watermark = field(
        default_factory=lambda: Watermark(NEXT_LAST_SYNC_TIME, ["the clock is fast"])
    )

    @contextmanager
    def read(
        self,
        query: str,
        *,
        first: int | None = None,
        matching: Sequence[Match] = (),  # noqa: ARG002 - a source may ignore it
    ) -> Iterator[Rows]:
        """Return the result of a query."""
        result = self.results[query]
        yield ListRows(result.columns, result.rows[:first])

    def count(self, query: str) -> int:
        """Return the number of rows of the result."""
        return len(self.results[query].rows)

    def comparison_warnings(self, query: str, columns: Sequence[Column]) -> list[str]:
        """Return one warning."""
        return [f"{query} compares {len(columns)} columns"]


class ListSource:
    """A source without a database."""

    def __init__(self, **results: ListRows) -> None:
        self.results = results
        self.stored: list[int] = []

    @contextmanager
    def snapshot(self, stored: int = 0) -> Iterator[Snapshot]:
        """Record the stored last sync time, and return the results."""
        self.stored.append(stored)
        yield ListSnapshot(self.results)

    def stop(self) -> None:
        """Do nothing: no query is running."""


class Recorder(DryRun):
    """A workspace that keeps the operations it receives."""

    def __init__(self) -> None:
        self.operations: list[Any] = []

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Keep the operations."""
        self.operations += map(msgspec.json.decode, operations)
        return []


def source() -> ListSource:
    """Return a source with people and their relationships, of which one person has no id."""
    return ListSource(
        people=ListRows(
            [ID, Column("plan", Kind.TEXT), Column("visits", Kind.INTEGER, array=True)],
            [("ada  ", "free", [1, 2]), (None, "pro", []), ("bob", "pro", None)],
        ),
        relationships=ListRows([ID, OBJECT_ID], [("ada", 7)]),
    )


SYNC = Sync(
    main=PeopleQuery(sql="people"), relationships=RelationshipsQuery(sql="relationships", object_type_id="1")
)


def test_rows_of_any_source_are_imported() -> None:
    """A run with rows from lists has the same operations, rejections and summary as one with a database."""
    lists, workspace, rejections = source(), Recorder(), Rejections()
    checked: Source = lists  # for mypy: a list source has all that the protocol requires
    summary = Summary(0, 1_600_000_000)
    run_sync(SYNC, checked, workspace, rejections, summary)
    assert lists.stored == [1_600_000_000]
    assert [operation["identifiers"] for operation in workspace.operations[:2]] == [
        {"id": "ada"},
        {"id": "bob"},
    ]
    assert workspace.operations[0]["attributes"] == {"plan": "free", "visits": [1, 2]}
    assert workspace.operations[2]["action"] == "add_relationships"
    assert [(each.row_index, each.reason) for each in rejections] == [(2, "required")]
    assert (summary.status, summary.rows_read, summary.rows_imported) == (Status.SOME_ROWS_FAILED, 4, 3)
    assert summary.warnings == ["the clock is fast"]


def test_the_watermark_of_any_source_is_stored_after_a_completed_run() -> None:
    """The next last sync time comes from the source."""
    lists = ListSource(objects=ListRows([OBJECT_ID], [(1,)]))
    summary = Summary(0)
    run_sync(
        Sync(main=ObjectsQuery(sql="objects", object_type_id="1")), lists, Recorder(), Rejections(), summary
    )
    assert (summary.status, summary.next_last_sync_time) == (Status.COMPLETED, NEXT_LAST_SYNC_TIME)


def test_a_preview_needs_only_the_protocol() -> None:
    """It has the first rows and the warnings of the source."""
    people, relationships = preview(SYNC, source())
    assert people.warnings == ["people compares 3 columns", "the clock is fast"]
    assert len(people.operations) == 2
    assert relationships.rows == [("ada", 7)]


def test_only_the_folder_of_postgres_imports_its_driver() -> None:
    """A second database needs a folder of its own, and no change in mapping, delivery or outcome."""
    engine = Path(airflow_provider_cio.engine.__file__).parent
    importing = set()
    for file in engine.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(
                name.startswith(("psycopg", "airflow_provider_cio.engine.sources.postgres")) for name in names
            ):
                importing.add(file.relative_to(engine).as_posix())
    assert {name for name in importing if not name.startswith("sources/postgres/")} == {"__init__.py"}
