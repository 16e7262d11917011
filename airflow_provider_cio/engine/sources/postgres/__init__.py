"""Postgres as a source."""

from airflow_provider_cio.engine.sources.postgres.source import PostgresSource

__all__ = ["PostgresSource"]
