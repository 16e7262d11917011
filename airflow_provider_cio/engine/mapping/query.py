"""What every kind of query has in common. Each kind has a file of its own, with its query and its mapper."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_cio.engine.mapping.mapper import Mapper
    from airflow_provider_cio.engine.outcome.rejection import Rejection
    from airflow_provider_cio.engine.sources import Column

#: What a NULL attribute does: remove the attribute, or leave it as it was.
Nulls = Literal["remove", "skip"]


@dataclass(frozen=True, kw_only=True)
class Query(ABC):
    """One SELECT, and how its rows are imported.

    Args:
        sql: The SELECT, rendered.

    Attributes:
        name: The name of the kind, in summaries and reports.
    """

    name: ClassVar[str]
    sql: str

    @abstractmethod
    def mapper(
        self, columns: Sequence[Column], nulls: Nulls, on_rejection: Callable[[Rejection], None]
    ) -> Mapper:
        """Return a mapper for rows with these columns.

        Args:
            columns: The columns of the query's result.
            nulls: What a NULL attribute does.
            on_rejection: Called with each row that cannot be sent.

        Raises:
            QueryError: The columns cannot be used.
        """

    @property
    def updates_only(self) -> bool:
        """Whether rows change what exists in Customer.io, and create nothing."""
        return False

    @property
    @abstractmethod
    def key_columns(self) -> Sequence[Sequence[str]]:
        """The columns that identify a row: for each part of its key, the names from which one is used."""

    @property
    @abstractmethod
    def failed_change_types(self) -> list[str]:
        """The types of activities with which Customer.io logs changes that it accepted and did not apply."""
