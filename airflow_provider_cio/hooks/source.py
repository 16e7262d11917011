"""From an Airflow connection of type Postgres to a connection to read from."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import psycopg
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException
from airflow.providers.postgres.hooks.postgres import PostgresHook

from airflow_provider_cio.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: A setting of rows for other operators: a sync reads tuples whatever it says.
_CURSOR = "cursor"


def connect_source(postgres_conn_id: str) -> psycopg.Connection[Any]:
    """Open a connection to the source.

    Args:
        postgres_conn_id: A connection of type Postgres.

    Raises:
        ConfigurationError: The connection holds something that cannot be used.
        AirflowNotFoundException: There is no such connection.
        psycopg.OperationalError: The server does not answer, or refuses.
    """
    connection = PostgresHook.get_connection(postgres_conn_id)
    try:
        hook = PostgresHook(postgres_conn_id, connection=_without_cursor(connection), log_sql=False)
        opened = hook.get_conn()
    except psycopg.OperationalError:
        raise
    except (ImportError, AirflowOptionalProviderFeatureException) as error:
        # Such as for the extra iam, which takes the provider of Amazon. Their texts name packages only.
        raise _wrong(postgres_conn_id, f"needs a package that is not installed: {error}") from None
    except Exception as error:  # noqa: BLE001 - every way of connecting has errors of its own
        # Their texts can quote what the connection holds.
        wrong = f"cannot be used ({type(error).__name__}): {_remedy(error)}"
        raise _wrong(postgres_conn_id, wrong) from None
    if not isinstance(opened, psycopg.Connection):
        raise ConfigurationError(
            "Airflow's PostgresHook uses psycopg2 here. Install psycopg 3 and SQLAlchemy 2."
        )
    return opened


def _without_cursor(connection: Connection) -> Connection:
    extra = connection.extra_dejson
    if _CURSOR not in extra:
        return connection
    changed = copy.copy(connection)
    changed.extra = json.dumps({key: value for key, value in extra.items() if key != _CURSOR})
    return changed


def _remedy(error: Exception) -> str:
    text = str(error)
    if isinstance(error, psycopg.ProgrammingError) and text.startswith("invalid connection option"):
        return f"{text}. Remove it from the connection's extra"
    return "correct its host, port, database and extra"


def _wrong(postgres_conn_id: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"The connection {postgres_conn_id} {what}.")
