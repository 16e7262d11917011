"""What one sync imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_cio.engine.mapping.query import Nulls, Query


@dataclass(frozen=True, kw_only=True)
class Sync:
    """The queries of a sync, and the options that apply to all of their rows.

    Args:
        main: The query of people or of objects.
        relationships: The query of relationships, if there is one. It runs after all verdicts on the main
            query have arrived.
        segment: The id of the manual segment to which imported people are added.
        nulls: What a NULL attribute does: remove the attribute, or leave it as it was.
    """

    main: Query
    relationships: Query | None = None
    segment: int | None = None
    nulls: Nulls = "remove"

    @property
    def queries(self) -> list[Query]:
        """The queries, in the order in which they run."""
        return [self.main, self.relationships] if self.relationships else [self.main]
