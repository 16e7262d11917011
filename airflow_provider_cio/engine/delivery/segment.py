"""The manual segment to which a sync adds people."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine.scratch import scratch_database
from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError, RefusedError, TooLargeError
from airflow_provider_cio.track.limits import SEGMENT_PEOPLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_cio.engine.delivery.workspace import WorkspaceWithSegments
    from airflow_provider_cio.engine.mapping.operations import Identifier, Operation
    from airflow_provider_cio.track import AppClient

_SCHEMA = "CREATE TABLE people (id_type TEXT, person TEXT, PRIMARY KEY (id_type, person)) WITHOUT ROWID"


def find_segment(app: AppClient, *, segment_id: int | None, name: str | None) -> int:
    """Return the id of a manual segment. A segment that is given by its name is created if it does not exist.

    Args:
        app: Reads the segments of the workspace.
        segment_id: The id of the segment, or None if it is given by its name.
        name: The name of the segment, or None if it is given by its id.

    Raises:
        ConfigurationError: The segment does not exist, its name is not unique, or it is data-driven.
        SyncError: The segments cannot be read.
    """
    wanted = f"segment {segment_id}" if name is None else f"segment named {name!r}"
    found = [segment for segment in app.segments() if name == segment.name or segment_id == segment.id]
    manual = [segment for segment in found if segment.type == "manual"]
    if len(manual) > 1:
        ids = ", ".join(str(segment.id) for segment in manual)
        raise ConfigurationError(
            f"The workspace has more than one {wanted}. Give the id of the segment instead: one of {ids}."
        )
    if manual:
        return manual[0].id
    if found:
        raise ConfigurationError(
            f"The {wanted} is data-driven. People can be added to manual segments only: give a manual one."
        )
    if name is None:
        raise ConfigurationError(
            f"The workspace has no {wanted}. Correct the id, or give the segment's name."
        )
    return app.create_segment(name).id


class SegmentMembers:
    """The people that a run imported. They are kept on disk, each once, until all verdicts have arrived."""

    def __init__(self) -> None:
        self._people = scratch_database(self, _SCHEMA)

    def add(self, operations: Sequence[Operation]) -> None:
        """Add the people of accepted operations."""
        people = msgspec.json.encode([operation.person for operation in operations]).decode()
        # One statement: SQLite lets other threads run during a statement, and not between statements.
        # The operator ->> would need SQLite 3.38.
        self._people.execute(
            "INSERT OR IGNORE INTO people"
            " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)",
            [people],
        )

    def remove(self, people: Iterable[tuple[Identifier, str]]) -> None:
        """Remove people that do not exist, each given as the type and the value of its identifier."""
        self._people.executemany("DELETE FROM people WHERE id_type = ? AND person = ?", people)

    def send(self, workspace: WorkspaceWithSegments, segment: int) -> int:
        """Add all people to a segment, and return their number.

        Raises:
            ConfigurationError: Customer.io refuses to add people to this segment.
            SyncError: The workspace is unavailable.
        """
        added = 0
        batches = self._batches()
        workers = [Worker("customerio-segment") for _ in range(workspace.max_concurrent_requests)]
        try:
            while group := list(itertools.islice(batches, len(workers))):
                futures = [
                    worker.submit(_add, workspace, segment, id_type, people)
                    for worker, (id_type, people) in zip(workers, group, strict=False)
                ]
                added += sum(future.result() for future in futures)
        except RefusedError:
            # The sentence of Customer.io is left out, because it can name people.
            raise ConfigurationError(
                f"Customer.io refuses to add people to segment {segment}. Give the id of a manual segment of"
                " this workspace."
            ) from None
        finally:
            for worker in workers:
                worker.close()
        return added

    def _batches(self) -> Iterator[tuple[Identifier, list[str]]]:
        """Yield people in batches of one identifier type each."""
        id_types: tuple[Identifier, Identifier] = ("id", "email")
        for id_type in id_types:
            rows = self._people.execute("SELECT person FROM people WHERE id_type = ?", (id_type,))
            while people := [person for (person,) in rows.fetchmany(SEGMENT_PEOPLE)]:
                yield id_type, people


def _add(workspace: WorkspaceWithSegments, segment: int, id_type: Identifier, people: list[str]) -> int:
    """Add people to a segment. A request that is too large is split in two."""
    try:
        workspace.add_to_segment(segment, id_type, people)
    except TooLargeError:
        if len(people) == 1:
            raise
        middle = len(people) // 2
        _add(workspace, segment, id_type, people[:middle])
        _add(workspace, segment, id_type, people[middle:])
    return len(people)
