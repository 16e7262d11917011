"""The columns of a query, described in the same way for every database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What the values of a column are when they arrive in the engine."""

    #: Text that can hold any words.
    TEXT = auto()
    #: Text in the fixed format of another type, such as a UUID or an interval.
    FORMATTED = auto()
    INTEGER = auto()
    FLOAT = auto()
    DECIMAL = auto()
    BOOLEAN = auto()
    #: Dates and times.
    TIME = auto()
    #: JSON that is passed through unread.
    JSON = auto()
    #: Anything else that has a JSON form, such as bytes and network addresses.
    OTHER = auto()


@dataclass(frozen=True)
class Column:
    """A column of a query's result.

    Args:
        name: Its name, exactly as the query gives it.
        kind: What its values, or the elements of its arrays, are.
        array: Whether its values are arrays.
        declared_type: The database's name of its type, for messages.
        padded: Whether the database fills its values with spaces that have no meaning, as in ``char(n)``.
        truncated_from: Longer names in the query that the database truncates to the name of this column.
    """

    name: str
    kind: Kind
    array: bool = False
    declared_type: str = ""
    padded: bool = False
    truncated_from: tuple[str, ...] = ()
