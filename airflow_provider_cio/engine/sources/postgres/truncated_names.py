"""Names of columns that are too long for Postgres, which truncates them without an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_cio.engine.sources.postgres.lexer import identifiers

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The bytes of a name that are kept: 63 in Postgres; 127 in Redshift, and in a Postgres that was built for
#: longer names.
_NAME_BYTES = (63, 127)
#: A character has up to 4 bytes in UTF-8, so a name that was truncated within one is up to 3 bytes shorter.
_SHORTEST_TRUNCATED = 60


def names_before_truncation(query: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names in a query that the server truncated, by the names of the columns that they became.

    Args:
        query: The query.
        names: The names of the columns of its result.
    """
    long_names = {name for name in names if len(name.encode()) >= _SHORTEST_TRUNCATED}
    found: dict[str, tuple[str, ...]] = {}
    if long_names:
        for written in dict.fromkeys(identifiers(query)):
            for kept in long_names & _truncations(written):
                found[kept] = (*found.get(kept, ()), written)
    return found


def _truncations(name: str) -> set[str]:
    """Truncate a name as a server does, in UTF-8 and in an encoding with one byte for each character."""
    in_utf_8 = {name.encode()[:limit].decode(errors="ignore") for limit in _NAME_BYTES}
    return (in_utf_8 | {name[:limit] for limit in _NAME_BYTES}) - {name}
