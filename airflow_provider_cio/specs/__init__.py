"""Specs: YAML files that define syncs."""

from airflow_provider_cio.specs.loading import find_specs, load_spec
from airflow_provider_cio.specs.model import ObjectsSpec, PeopleSpec, RelationshipsSpec, SegmentSpec, SyncSpec

__all__ = [
    "ObjectsSpec",
    "PeopleSpec",
    "RelationshipsSpec",
    "SegmentSpec",
    "SyncSpec",
    "find_specs",
    "load_spec",
]
