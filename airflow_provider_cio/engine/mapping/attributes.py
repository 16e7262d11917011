"""The columns of a query that are attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from airflow_provider_cio.engine.queries import Nulls


class Attributes:
    """How the attributes of one query's rows are encoded: one struct type, with a field a column.

    Args:
        names: The query's columns.
        others: Those that are no attributes.
        nulls: What a NULL does.

    Attributes:
        names: The attributes, in order.
    """

    def __init__(self, names: Sequence[str], others: Collection[str], nulls: Nulls) -> None:
        self.names = [name for name in names if name not in others]
        self._places = [place for place, name in enumerate(names) if name not in others]
        fields = {f"column_{place}": name for place, name in enumerate(self.names)}
        self._struct: Callable[..., Any] = msgspec.defstruct(
            "Attributes",
            [(field, Any, None) for field in fields],
            rename=fields,
            omit_defaults=nulls == "skip",
            gc=False,
        )

    def of_rows(self, columns: Sequence[Sequence[Any]]) -> Iterable[Any]:
        """Make an encodable object of each row of a chunk, given by the query's columns."""
        if not self._places:
            return [self._struct() for _ in columns[0]]
        return map(self._struct, *(columns[place] for place in self._places))
