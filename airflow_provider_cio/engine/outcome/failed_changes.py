"""Changes that Customer.io accepted and then did not apply, such as an email address that another person has.

They appear only in the activity log of the workspace, a little later, and without the row that caused them.
So a run marks the end of the log before it sends anything. Afterwards it reads the new activities, and reads
the query again in the same snapshot to find the rows that they are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from airflow_provider_cio.track.rejected_operation import RejectedOperation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.engine.mapping.query import Query
    from airflow_provider_cio.track import AppClient
    from airflow_provider_cio.track.app_client import Activity


class _Change(msgspec.Struct):
    """A change of one attribute. Customer.io documents only ``from`` and ``to``."""

    to: str = ""
    error: str = ""


class FailedChanges:
    """The failed changes of one query. Creating it marks the end of the activity log.

    Args:
        app: Reads the activity log.
        query: The query, which has not sent anything yet.

    Raises:
        SyncError: The activity log cannot be read.
    """

    def __init__(self, app: AppClient, query: Query) -> None:
        self._app = app
        self._newest_id = {kind: _newest_id(app, kind) for kind in query.failed_change_types}
        self._changes: dict[str, dict[str, _Change]] = {}

    def load(self) -> bool:
        """Read the new activities, and return whether there are any.

        Raises:
            SyncError: The activity log cannot be read.
        """
        for kind, newest_id in self._newest_id.items():
            for activity in self._app.activities(kind):
                if activity.id == newest_id:
                    break
                for identifier in _identifiers(activity):
                    self._changes.setdefault(identifier, {}).update(_changes(activity))
        return bool(self._changes)

    def match(self, operations: Iterable[Operation]) -> Iterator[tuple[Operation, RejectedOperation]]:
        """Yield the operations whose changes failed, each with the reason."""
        for operation in operations:
            changes = self._changes.get(operation.order_key.partition("\0")[0])
            if not changes:
                continue
            values = operation.values()
            # Other systems write to the workspace too. A change is ours if the row has the refused value.
            ours = {
                name: change
                for name, change in changes.items()
                if _may_display_as(values.get(name), change.to)
            }
            if ours:
                yield operation, _rejected(ours)


def _newest_id(app: AppClient, kind: str) -> str:
    return next((activity.id for activity in app.activities(kind)), "")


def _identifiers(activity: Activity) -> set[str]:
    """Return the identifiers of the person or object of an activity, in the form of an order key."""
    person = activity.customer_identifiers
    identifiers = {activity.customer_id, activity.object_id}
    if person:
        identifiers |= {person.id, person.email and person.email.lower()}
    return {identifier for identifier in identifiers if identifier}


def _changes(activity: Activity) -> dict[str, _Change]:
    try:
        return msgspec.convert(activity.data, dict[str, _Change])
    except msgspec.ValidationError:
        return {}


def _may_display_as(value: object, text: str) -> bool:
    """Return whether Customer.io may display a value as this text. Only texts are displayed unchanged."""
    return value is not None and (not isinstance(value, str) or not text or value.lower() == text.lower())


def _rejected(changes: dict[str, _Change]) -> RejectedOperation:
    (field, first), *others = changes.items()
    messages = [
        first.error or f"Customer.io did not change {field}",
        *(f"{name}: {change.error or 'not changed either'}" for name, change in others),
    ]
    return RejectedOperation(0, "failed_attribute_change", f"attributes.{field}", "; ".join(messages))
