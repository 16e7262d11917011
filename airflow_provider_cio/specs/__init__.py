"""Specs: YAML files that define syncs."""

from airflow_provider_cio.specs.faults import Fault
from airflow_provider_cio.specs.loading import SpecFolder
from airflow_provider_cio.specs.model import SyncSpec

__all__ = ["Fault", "SpecFolder", "SyncSpec"]
