from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from local.postgres import LocalPostgres


def test_a_wrong_password_is_refused(postgres: LocalPostgres) -> None:
    """The server requires its password."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.uri.replace(postgres.password, "guess"))


def test_the_airflow_connection_reaches_the_server(postgres: LocalPostgres) -> None:
    """The fields of the Airflow connection are those of the server."""
    fields = postgres.airflow_connection()
    with psycopg.connect(
        host=str(fields["host"]),
        port=str(fields["port"]),
        user=str(fields["login"]),
        password=str(fields["password"]),
        dbname=str(fields["schema"]),
    ) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After the block the server has stopped and its data are deleted, even if a client was connected."""
    with LocalPostgres(tmp_path_factory.mktemp("short")) as server:
        client = server.connect()
        (folder,) = client.execute("SHOW data_directory").fetchone() or ("",)
        data = Path(folder)
        assert data.exists()
    assert not data.exists()
    with pytest.raises(psycopg.OperationalError):
        server.connect()
