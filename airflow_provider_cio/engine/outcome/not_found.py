"""Rows of a sync that creates no people, whose person does not exist.

Customer.io accepts these rows and does nothing, so they are not rejections. After the rows were sent, the App
API is asked for the people, within a bound on their number and on the time.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_cio.errors import StoppedError, TransientError
from airflow_provider_cio.track.bounds import PEOPLE_SECONDS
from airflow_provider_cio.track.limits import APP_REQUESTS_PER_SECOND, PEOPLE_PER_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_cio.engine.mapping.operations import Identifier, Operation
    from airflow_provider_cio.engine.outcome.summary import Summary
    from airflow_provider_cio.track import AppClient

#: The people that can be looked up in the time by the faster way, by id. More need not be kept in memory.
_MOST_PEOPLE = int(PEOPLE_SECONDS * APP_REQUESTS_PER_SECOND * PEOPLE_PER_REQUEST)


class NotFound:
    """The people of accepted rows, and which of them do not exist.

    Args:
        app: Looks people up.

    Attributes:
        people: The people that do not exist, each as the type and the value of its identifier.
    """

    def __init__(self, app: AppClient) -> None:
        self._app = app
        self._row_counts: Counter[tuple[Identifier, str]] = Counter()
        self._complete = True
        self.people: set[tuple[Identifier, str]] = set()

    def add(self, operations: Sequence[Operation]) -> None:
        """Add the people of accepted operations, as long as there are not too many."""
        for operation in operations:
            person = operation.person
            if len(self._row_counts) < _MOST_PEOPLE or person in self._row_counts:
                self._row_counts[person] += 1
            else:
                self._complete = False

    def look_up(self, summary: Summary) -> None:
        """Find the people that do not exist, and count their rows in the summary.

        A run does not fail if people cannot be looked up. The summary has a warning then.

        Raises:
            ConfigurationError: The App API refuses the key.
            StoppedError: The run was stopped.
        """
        end = time.monotonic() + PEOPLE_SECONDS
        looked_up = 0
        try:
            for id_type, values in self._batches():
                if time.monotonic() > end:
                    self._complete = False
                    break
                known = self._known(id_type, values)
                self.people |= {(id_type, value) for value in values if value not in known}
                looked_up += len(values)
        except StoppedError:
            raise
        except TransientError:
            self._complete = False
        summary.not_found = sum(self._row_counts[person] for person in self.people)
        if not self._complete:
            summary.warnings.append(
                f"Only {looked_up:,} people were looked up, so more rows than the {summary.not_found:,} of"
                " not_found can have changed nothing because their person does not exist."
            )

    def _batches(self) -> Iterator[tuple[Identifier, list[str]]]:
        """Yield the people in batches of one request each, those with an id first."""
        ids = (value for id_type, value in self._row_counts if id_type == "id")
        while batch := list(itertools.islice(ids, PEOPLE_PER_REQUEST)):
            yield "id", batch
        for id_type, value in self._row_counts:
            if id_type == "email":
                yield "email", [value]

    def _known(self, id_type: Identifier, values: list[str]) -> set[str]:
        if id_type == "id":
            return self._app.known_ids(values)
        return {value for value in values if self._app.has_email(value)}
