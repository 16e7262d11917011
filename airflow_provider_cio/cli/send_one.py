"""``airflow customerio preview --send-one``: one row is sent, and read back as Customer.io stores it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from airflow_provider_cio.engine.value_text import value_text
from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.connections import workspace_clients

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_cio.engine.mapping.operations import Operation
    from airflow_provider_cio.engine.preview import Preview
    from airflow_provider_cio.track import AppClient

#: Seconds between two looks at the person.
_INTERVAL = 1


def send_one(preview: Preview, row_index: int, customerio_conn_id: str, wait: float, out: Console) -> None:
    """Send a row of a preview, and print each value beside the value that is stored.

    Args:
        preview: The preview of people.
        row_index: The row, counted from 1 as in the preview.
        customerio_conn_id: The connection of the workspace.
        wait: Seconds to wait until Customer.io has applied the row.
        out: The console.

    Raises:
        ConfigurationError: The row cannot be sent or read back. Nothing was sent, unless Customer.io refused
            the row.
    """
    operation = _chosen(preview, row_index)
    id_type, person_id = operation.person
    if id_type != "id":
        raise ConfigurationError(
            f"Row {row_index} has no id, and people are read back by id. Nothing was sent. Choose another"
            " row."
        )
    track_client, app_client = workspace_clients(customerio_conn_id)
    if not app_client:
        raise ConfigurationError(
            f"The connection {customerio_conn_id} has no app_api_key, which reads a person back. Nothing was"
            " sent. Add the key."
        )
    with track_client, app_client:
        for rejected in track_client.send_batch([operation.body]):
            raise ConfigurationError(
                f"Customer.io refused row {row_index}: {rejected.field} {rejected.reason}: {rejected.message}"
            )
        sent = {name: value_text(value) for name, value in operation.values().items() if name != "id"}
        stored = _read_back(app_client, person_id, sent, wait)
    if stored is None:
        raise ConfigurationError(
            f"Row {row_index} was sent and accepted, but after {wait:g} s the workspace has no person with"
            " its id. Look at the activity log in Customer.io."
        )
    _print_comparison(sent, stored, row_index, out)


def _chosen(preview: Preview, row_index: int) -> Operation:
    if preview.query != "people":
        raise ConfigurationError(
            f"--send-one sends a person, and this sync imports {preview.query}. Nothing was sent."
        )
    for operation in preview.operations:
        if operation.row_index == row_index:
            return operation
    raise ConfigurationError(
        f"Row {row_index} is not one of the rows above that can be sent (--send-one). Nothing was sent."
    )


def _read_back(app: AppClient, person_id: str, sent: dict[str, str], wait: float) -> dict[str, str] | None:
    """Read the person until every value is stored, or the time is over."""
    end = time.monotonic() + wait
    while True:
        found = app.attributes(person_id)
        stored = None if found is None else {name: value_text(value) for name, value in found.items()}
        if time.monotonic() >= end or (stored is not None and not _differences(sent, stored)):
            return stored
        app.wait(_INTERVAL)


def _print_comparison(sent: dict[str, str], stored: dict[str, str], row_index: int, out: Console) -> None:
    table = Table("attribute", "sent", "stored", "", box=None, title_justify="left")
    table.title = f"\nRow {row_index} was sent, and Customer.io accepted it"
    differences = _differences(sent, stored)
    for name, value in sent.items():
        mark = "differs" if name in differences else ""
        table.add_row(escape(name), escape(value), escape(stored.get(name, "")), mark)
    out.print(table)


def _differences(sent: dict[str, str], stored: dict[str, str]) -> set[str]:
    """Return the names of the attributes whose value is not stored. NULL removes an attribute."""
    return {name for name, value in sent.items() if stored.get(name, "") != value}
