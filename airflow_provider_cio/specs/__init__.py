"""Specs: YAML files that define syncs."""

from airflow_provider_cio.specs.loading import SpecFolder
from airflow_provider_cio.specs.model import SyncSpec
from airflow_provider_cio.specs.problems import SpecProblem

__all__ = ["SpecFolder", "SpecProblem", "SyncSpec"]
