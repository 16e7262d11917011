"""Specs: YAML files that define syncs."""

from airflow_provider_cio.specs.loading import find_specs, load_spec
from airflow_provider_cio.specs.model import PeopleSpec, SyncSpec

__all__ = ["PeopleSpec", "SyncSpec", "find_specs", "load_spec"]
