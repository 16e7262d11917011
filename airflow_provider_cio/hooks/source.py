"""Connect to the Postgres of an Airflow connection."""

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

#: An extra that sets the class of rows for other operators. A sync always reads tuples.
_CURSOR = "cursor"


#: With it, libpq uses the name only if neither the connection nor the environment gives another one.
_APPLICATION_NAME = "fallback_application_name"


def connect_source(postgres_conn_id: str, application_name: str) -> psycopg.Connection[Any]:
    """Open a connection to the source.

    Args:
        postgres_conn_id: The id of a connection of type Postgres.
        application_name: The name of the session in ``pg_stat_activity`` and in Postgres's log, unless the
            connection gives one.

    Raises:
        ConfigurationError: A field of the connection cannot be used.
        AirflowNotFoundException: The connection does not exist.
        psycopg.OperationalError: The server does not respond, or refuses the connection.
    """
    connection = PostgresHook.get_connection(postgres_conn_id)
    try:
        hook = PostgresHook(
            postgres_conn_id, connection=_prepare(connection, application_name), log_sql=False
        )
        opened = hook.get_conn()
    except psycopg.OperationalError:
        raise
    except (ImportError, AirflowOptionalProviderFeatureException) as error:
        # For example, the extra iam needs the Amazon provider. The texts of these errors name only packages.
        raise _unusable(postgres_conn_id, f"needs a package that is not installed: {error}") from None
    except Exception as error:  # noqa: BLE001 - each authentication method has exceptions of its own
        # Their texts can quote fields of the connection.
        problem = f"cannot be used ({type(error).__name__}): {_remedy(error)}"
        raise _unusable(postgres_conn_id, problem) from None
    if not isinstance(opened, psycopg.Connection):
        raise ConfigurationError(
            "Airflow's PostgresHook uses psycopg2 in this installation. Install psycopg 3 and SQLAlchemy 2."
        )
    return opened


def _prepare(connection: Connection, application_name: str) -> Connection:
    """Return the connection without an extra that is not for syncs, and with the name of the session."""
    extra = {key: value for key, value in connection.extra_dejson.items() if key != _CURSOR}
    if "application_name" not in str(extra.get("options")):  # these options would lose against the name
        extra.setdefault(_APPLICATION_NAME, application_name)
    changed = copy.copy(connection)
    changed.extra = json.dumps(extra)
    return changed


def _remedy(error: Exception) -> str:
    text = str(error)
    if isinstance(error, psycopg.ProgrammingError) and text.startswith("invalid connection option"):
        return f"{text}. Remove it from the connection's extra"
    return "correct its host, port, database and extra"


def _unusable(postgres_conn_id: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"The connection {postgres_conn_id} {problem}.")
