"""What the engine needs, from the arguments of the operator."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Sync
from airflow_provider_cio.engine.delivery.segment import find_segment
from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.connections import connect_postgres
from airflow_provider_cio.operators.queries import OBJECTS, PEOPLE, RELATIONSHIPS
from airflow_provider_cio.state.names import application_name

if TYPE_CHECKING:
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.sources import Timestamps
    from airflow_provider_cio.track import AppClient


class SyncArguments(Protocol):
    """The arguments of a `CustomerIOSyncOperator` that the engine needs, beside those of the queries."""

    workspace: str
    sync_name: str
    create: bool
    segment_id: int | None
    segment_name: str | None
    nulls: Nulls
    timestamps: Timestamps
    postgres_conn_id: str
    customerio_conn_id: str
    overlap: int | None
    max_lookback: int
    statement_timeout: int | None


def build_source(operator: SyncArguments) -> PostgresSource:
    """Return the source to read from."""
    name = application_name(operator.workspace, operator.sync_name)
    return PostgresSource(
        lambda: connect_postgres(operator.postgres_conn_id, name),
        overlap=operator.overlap,
        max_lookback=operator.max_lookback,
        statement_timeout=operator.statement_timeout,
        timestamps=operator.timestamps,
    )


def build_sync(operator: SyncArguments) -> Sync:
    """Return the queries to import, which must be rendered, without a segment."""
    main = PEOPLE.build(operator) or OBJECTS.build(operator)
    if isinstance(main, PeopleQuery):
        main = dataclasses.replace(main, create=operator.create)
    return Sync(main=main, relationships=RELATIONSHIPS.build(operator), nulls=operator.nulls)  # type: ignore[arg-type] # `check_arguments` makes sure that there is a main query


def find_segment_id(operator: SyncArguments, app: AppClient | None) -> int | None:
    """Return the id of the segment, which is created if none has its name; None if there is no segment.

    Raises:
        ConfigurationError: The segment cannot be found, or cannot be used.
    """
    if operator.segment_id is None and operator.segment_name is None:
        return None
    if app:
        return find_segment(app, segment_id=operator.segment_id, name=operator.segment_name)
    if operator.segment_id is None:
        raise ConfigurationError(
            f"The connection {operator.customerio_conn_id} needs app_api_key to find a segment by its name."
            " Add the key, or give the id of the segment."
        )
    return operator.segment_id
