"""Where rows come from: the protocol of a source, and a folder for each kind of database."""

from airflow_provider_cio.engine.sources.column import Column, Kind
from airflow_provider_cio.engine.sources.protocol import Match, Row, Rows, Snapshot, Source, Timestamps
from airflow_provider_cio.engine.sources.watermark import DEFAULT_MAX_LOOKBACK, DEFAULT_OVERLAP, Watermark

__all__ = [
    "DEFAULT_MAX_LOOKBACK",
    "DEFAULT_OVERLAP",
    "Column",
    "Kind",
    "Match",
    "Row",
    "Rows",
    "Snapshot",
    "Source",
    "Timestamps",
    "Watermark",
]
