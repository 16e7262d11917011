"""Where rows come from."""

from airflow_provider_cio.engine.sources.postgres import Snapshot, Source
from airflow_provider_cio.engine.sources.reading import Row, Rows
from airflow_provider_cio.engine.sources.types import Column

__all__ = ["Column", "Row", "Rows", "Snapshot", "Source"]
