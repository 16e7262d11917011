"""The columns of a row that are attributes."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from airflow_provider_cio.engine.queries import Nulls
    from airflow_provider_cio.engine.source import Row


class Attributes:
    """How the attributes of one query's rows are encoded: one struct type, with a field a column.

    Args:
        names: The query's columns.
        others: Those that are no attributes.
        nulls: What a NULL does.

    Attributes:
        names: The attributes, in order.
        pick: Gives a row's attribute values.
        build: Makes an encodable object of these values.
    """

    def __init__(self, names: Sequence[str], others: Collection[str], nulls: Nulls) -> None:
        self.names = [name for name in names if name not in others]
        self.pick = _picker([index for index, name in enumerate(names) if name not in others])
        fields = {f"column_{index}": name for index, name in enumerate(self.names)}
        self.build: Callable[..., Any] = msgspec.defstruct(
            "Attributes",
            [(field, Any, None) for field in fields],
            rename=fields,
            omit_defaults=nulls == "skip",
            gc=False,
        )


def _picker(indexes: Sequence[int]) -> Callable[[Row], Row]:
    """Make a function that picks columns of a row."""
    if not indexes:
        return lambda _: ()
    span = slice(indexes[0], indexes[-1] + 1)
    if len(indexes) == span.stop - span.start:  # most queries name the identifier first; a slice is quicker
        return itemgetter(span)
    return itemgetter(*indexes)
