"""The columns of a query that become attributes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_cio.engine.mapping.operations import UPDATE_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from airflow_provider_cio.engine.mapping.query import Nulls


class Attributes:
    """Encodes the attributes of a query's rows with one struct type, which has one field for each column.

    Args:
        names: The names of all columns of the query.
        others: The names of the columns that are not attributes.
        nulls: What a NULL attribute does.
        update_only: Whether rows change people that exist, and create none.

    Attributes:
        names: The names of the attributes, in the order of the columns.
    """

    def __init__(
        self, names: Sequence[str], others: Collection[str], nulls: Nulls, *, update_only: bool = False
    ) -> None:
        self.names = [name for name in names if name not in others]
        self._column_indexes = [index for index, name in enumerate(names) if name not in others]
        fields = {f"column_{index}": name for index, name in enumerate(self.names)}
        # The flag of Customer.io. No column can have its name, because the name is reserved.
        self._flags = [itertools.repeat(object=True)] if update_only else []
        if update_only:
            fields["update_only"] = UPDATE_ONLY
        self._struct: Callable[..., Any] = msgspec.defstruct(
            "Attributes",
            [(field, Any, None) for field in fields],
            rename=fields,
            omit_defaults=nulls == "skip",
            gc=False,
        )

    def of_rows(self, columns: Sequence[Sequence[Any]]) -> Iterable[Any]:
        """Return an object that msgspec can encode for each row of a chunk.

        Args:
            columns: The values of the chunk, by column.
        """
        if not self._column_indexes:
            return [self._struct(*map(next, self._flags)) for _ in columns[0]]
        return map(self._struct, *(columns[index] for index in self._column_indexes), *self._flags)
