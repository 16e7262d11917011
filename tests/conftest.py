"""Fixtures for all tests: a Postgres server, and a new database in it for each test."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from local.postgres import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_cio.engine.delivery.workspace import WorkspaceWithSegments
    from airflow_provider_cio.engine.mapping.operations import Identifier
    from airflow_provider_cio.engine.mapping.query import Nulls
    from airflow_provider_cio.engine.sources import Timestamps

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """Start a Postgres server."""
    with LocalPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


class Database:
    """A database, with a connection to prepare it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.name = uri.rpartition("/")[2]
        self.connection = psycopg.connect(uri, autocommit=True)

    def execute(self, statement: str) -> None:
        """Run one or more statements."""
        self.connection.execute(statement.encode())

    def connect(self) -> psycopg.Connection[Any]:
        """Open another connection."""
        return psycopg.connect(self.uri)


@pytest.fixture
def database(postgres: LocalPostgres) -> Iterator[Database]:
    """Create an empty database."""
    name = f"test_{next(_numbers)}"
    with postgres.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    base, _, _ = postgres.uri.rpartition("/")
    database = Database(f"{base}/{name}")
    yield database
    database.connection.close()
    with postgres.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


class Run:
    """The summary and the rejections of a run."""

    def __init__(self) -> None:
        self.rejections = Rejections()
        self.summary = Summary(0)


@pytest.fixture
def run(database: Database) -> Callable[..., Run]:
    """Return a function that imports a query of the test's database into a workspace."""

    def run_query(
        sql: str,
        workspace: WorkspaceWithSegments,
        *,
        identify_by: Identifier | None = None,
        nulls: Nulls = "remove",
        timestamps: Timestamps = "unix",
    ) -> Run:
        result = Run()
        sync = Sync(main=PeopleQuery(sql=sql, identify_by=identify_by), nulls=nulls)
        source = PostgresSource(database.connect, timestamps=timestamps)
        run_sync(sync, source, workspace, result.rejections, result.summary)
        return result

    return run_query
