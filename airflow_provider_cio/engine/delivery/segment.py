"""The manual segment that a sync adds people to."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import msgspec

from airflow_provider_cio.engine.delivery.workspace import Workspace
from airflow_provider_cio.engine.scratch import scratch_database
from airflow_provider_cio.engine.worker import Worker
from airflow_provider_cio.errors import ConfigurationError, RefusedError, TooLargeError
from airflow_provider_cio.track.limits import SEGMENT_PEOPLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.engine.queries import Identifier
    from airflow_provider_cio.track import AppClient

_SCHEMA = "CREATE TABLE people (id_type TEXT, person TEXT, PRIMARY KEY (id_type, person)) WITHOUT ROWID"


class WorkspaceWithSegments(Workspace, Protocol):
    """Where operations go, and people into segments: a `TrackClient`."""

    def add_to_segment(self, segment: int, id_type: Identifier, people: Sequence[str]) -> None:
        """Add people to a manual segment."""


def find_segment(app: AppClient, *, number: int | None, name: str | None) -> int:
    """Find the manual segment that somebody means; one of this name is created when there is none.

    Args:
        app: Looks into the workspace.
        number: The segment's number, or
        name: its name.

    Returns:
        The segment's number.

    Raises:
        ConfigurationError: There is none of this number, several have the name, or it is data-driven.
        SyncError: The workspace could not be asked.
    """
    wanted = f"segment {number}" if name is None else f"segment named {name!r}"
    found = [segment for segment in app.segments() if name == segment.name or number == segment.id]
    manual = [segment for segment in found if segment.type == "manual"]
    if len(manual) > 1:
        numbers = ", ".join(str(segment.id) for segment in manual)
        raise ConfigurationError(f"More than one {wanted}: give the id of one instead ({numbers})")
    if manual:
        return manual[0].id
    if found:
        raise ConfigurationError(f"The {wanted} is data-driven; people can be added to manual segments only")
    if name is None:
        raise ConfigurationError(f"There is no {wanted} in the workspace")
    return app.create_segment(name).id


class Members:
    """The people that a run imported, each once, on disk until all verdicts are in."""

    def __init__(self) -> None:
        self._people = scratch_database(self, _SCHEMA)

    def add(self, operations: Sequence[Operation]) -> None:
        """Remember the people of operations that Customer.io accepted."""
        people = msgspec.json.encode([operation.person for operation in operations]).decode()
        # One statement, so that other threads run meanwhile: between statements they would be waited for.
        # No ->>, which SQLite has since 3.38 only.
        self._people.execute(
            "INSERT OR IGNORE INTO people"
            " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)",
            [people],
        )

    def send(self, workspace: WorkspaceWithSegments, segment: int) -> int:
        """Add all of them to a segment and say how many they are.

        Raises:
            ConfigurationError: Customer.io refuses to add people to this segment.
            SyncError: It could not be done.
        """
        added = 0
        batches = self._batches()
        workers = [Worker("customerio-segment") for _ in range(workspace.max_concurrent_requests)]
        try:
            while some := list(itertools.islice(batches, len(workers))):
                futures = [
                    worker.submit(_add, workspace, segment, id_type, people)
                    for worker, (id_type, people) in zip(workers, some, strict=False)
                ]
                added += sum(future.result() for future in futures)
        except RefusedError:
            # Customer.io's sentence could name people, so it is not repeated.
            raise ConfigurationError(
                f"Customer.io refuses to add people to segment {segment}. It has to be a manual segment"
                " of this workspace."
            ) from None
        finally:
            for worker in workers:
                worker.close()
        return added

    def _batches(self) -> Iterator[tuple[Identifier, list[str]]]:
        id_types: tuple[Identifier, Identifier] = ("id", "email")
        for id_type in id_types:
            rows = self._people.execute("SELECT person FROM people WHERE id_type = ?", (id_type,))
            while people := [person for (person,) in rows.fetchmany(SEGMENT_PEOPLE)]:
                yield id_type, people


def _add(workspace: WorkspaceWithSegments, segment: int, id_type: Identifier, people: list[str]) -> int:
    """Add people to a segment, in halves where a request is too large."""
    try:
        workspace.add_to_segment(segment, id_type, people)
    except TooLargeError:
        if len(people) == 1:
            raise
        middle = len(people) // 2
        _add(workspace, segment, id_type, people[:middle])
        _add(workspace, segment, id_type, people[middle:])
    return len(people)
