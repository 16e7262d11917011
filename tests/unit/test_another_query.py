"""Another kind of query needs a query and a mapper of its own, and no change in the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import msgspec

from airflow_provider_cio.engine import Rejections, Summary, Sync, run_sync
from airflow_provider_cio.engine.mapping.identifiers import identifier_texts
from airflow_provider_cio.engine.mapping.mapper import Mapper, Payloads
from airflow_provider_cio.engine.mapping.operations import PersonId
from airflow_provider_cio.engine.mapping.query import Query
from airflow_provider_cio.engine.mapping.row_keys import RowKeys
from airflow_provider_cio.engine.sources import Column, Kind
from tests.unit.test_source_protocol import ListRows, ListSource, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine import Rejection
    from airflow_provider_cio.engine.mapping.mapper import Values
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.mapping.row_problems import RowProblems


class Visit(msgspec.Struct, tag_field="type", tag="person"):
    """A visit of a person to a page."""

    identifiers: PersonId
    name: str
    action: str = "page"


@dataclass(frozen=True, kw_only=True)
class VisitsQuery(Query):
    """A query whose rows are visits: the id of a person, and the name of a page."""

    name: ClassVar = "visits"
    key_columns: ClassVar[list[tuple[str, ...]]] = [("id",)]
    failed_change_types: ClassVar[list[str]] = []

    def mapper(
        self,
        columns: Sequence[Column],
        nulls: Nulls,  # noqa: ARG002 - part of the protocol; visits have no attributes
        on_rejection: Callable[[Rejection], None],
    ) -> Mapper:
        """Return a mapper for rows with these columns."""
        return VisitsMapper(self.name, RowKeys(self.key_columns, columns), columns, ["id"], on_rejection)


class VisitsMapper(Mapper):
    """Turns rows into visits."""

    def _payloads(self, columns: Sequence[Values], problems: RowProblems) -> Payloads:
        ids = identifier_texts("id", columns[0], problems)
        return Payloads(ids, map(Visit, map(PersonId, ids), columns[1]))


def test_another_kind_of_query_is_imported() -> None:
    """Its rows are sent, counted and rejected like the rows of every other kind."""
    columns = [Column("id", Kind.INTEGER), Column("page", Kind.TEXT)]
    source = ListSource(visits=ListRows(columns, [(1, "/"), (None, "/"), (2, "/prices")]))
    workspace, rejections, summary = Recorder(), Rejections(), Summary(0)
    run_sync(Sync(main=VisitsQuery(sql="visits")), source, workspace, rejections, summary)
    assert workspace.operations == [
        {"type": "person", "identifiers": {"id": "1"}, "name": "/", "action": "page"},
        {"type": "person", "identifiers": {"id": "2"}, "name": "/prices", "action": "page"},
    ]
    assert [(each.query, each.row_index, each.field) for each in rejections] == [
        ("visits", 2, "identifiers.id")
    ]
    assert str(summary.queries["visits"]) == "3 rows read, 2 imported, 1 failed"
