"""Changes that Customer.io accepted and then did not apply, such as an address that belongs to somebody else.

They show in the workspace's activity log only, a little later, and without the row that caused them. So the
log's end is marked before a run; afterwards what is new is read, and the query is read again, in the same
snapshot, for the rows that it is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.engine.queries import ObjectsQuery, PeopleQuery
from airflow_provider_cio.track.rejected_operation import RejectedOperation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.engine.queries import Query
    from airflow_provider_cio.track import AppClient
    from airflow_provider_cio.track.app_client import Activity


class _Change(msgspec.Struct):
    """A change of one attribute; Customer.io documents ``from`` and ``to`` only."""

    to: str = ""
    error: str = ""


class FailedChanges:
    """The failed changes of one query.

    Args:
        app: Looks into the workspace.
        query: The query that is about to run.

    Raises:
        SyncError: The workspace could not be asked.
    """

    def __init__(self, app: AppClient, query: Query) -> None:
        self._app = app
        self._end = {kind: _newest(app, kind) for kind in _kinds(query)}
        self._found: dict[str, dict[str, _Change]] = {}

    def read(self) -> bool:
        """Read what is new in the log and say whether there is something.

        Raises:
            SyncError: The workspace could not be asked.
        """
        for kind, end in self._end.items():
            for activity in self._app.activities(kind):
                if activity.id == end:
                    break
                for key in _keys(activity):
                    self._found.setdefault(key, {}).update(_changes(activity))
        return bool(self._found)

    def match(self, operations: Iterable[Operation]) -> Iterator[tuple[Operation, RejectedOperation]]:
        """Find the operations whose changes failed."""
        for operation in operations:
            changes = self._found.get(operation.key.partition("\0")[0])
            if not changes:
                continue
            values = operation.values()
            # Others write to the workspace, too: ours is what wanted this value.
            ours = {
                name: change for name, change in changes.items() if _is_text_of(values.get(name), change.to)
            }
            if ours:
                yield operation, _error(ours)


def _kinds(query: Query) -> list[str]:
    """Name the activities that tell of failed changes."""
    if isinstance(query, PeopleQuery):
        return ["failed_attribute_change"]
    if isinstance(query, ObjectsQuery):
        return [f"_o:{query.object_type_id}:failed_attribute_change"]
    return ["relationship_failed_attribute_change", f"_r:{query.object_type_id}:failed_attribute_change"]


def _newest(app: AppClient, kind: str) -> str:
    return next((activity.id for activity in app.activities(kind)), "")


def _keys(activity: Activity) -> set[str]:
    """Say how an operation's key may name what an activity is about."""
    names = activity.customer_identifiers
    keys = {activity.customer_id, activity.object_id}
    if names:
        keys |= {names.id, names.email and names.email.lower()}
    return {key for key in keys if key}


def _changes(activity: Activity) -> dict[str, _Change]:
    try:
        return msgspec.convert(activity.data, dict[str, _Change])
    except msgspec.ValidationError:
        return {}


def _is_text_of(value: object, text: str) -> bool:
    """Tell whether a text may be how Customer.io shows a value; other than texts it shows in its own way."""
    return value is not None and (not isinstance(value, str) or not text or value.lower() == text.lower())


def _error(changes: dict[str, _Change]) -> RejectedOperation:
    (field, first), *others = changes.items()
    messages = [
        first.error or f"Customer.io did not change {field}",
        *(f"{name}: {change.error or 'not changed either'}" for name, change in others),
    ]
    return RejectedOperation(0, "failed_attribute_change", f"attributes.{field}", "; ".join(messages))
