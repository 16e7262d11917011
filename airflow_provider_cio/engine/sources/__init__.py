"""Where rows come from."""

from airflow_provider_cio.engine.sources.postgres.reading import Row, Rows
from airflow_provider_cio.engine.sources.postgres.source import PostgresSource, Snapshot
from airflow_provider_cio.engine.sources.postgres.types import Column

__all__ = ["Column", "PostgresSource", "Row", "Rows", "Snapshot"]
