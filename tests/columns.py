"""Columns for tests of mappers, by the names of Postgres's types."""

from __future__ import annotations

from psycopg.postgres import types as postgres_types

from airflow_provider_cio.engine.sources import Column
from airflow_provider_cio.engine.sources.postgres.types import NATIVE_TYPES, kind_of


def column(name: str, type_name: str, *, array: bool = False, declared_type: str = "") -> Column:
    """Describe a column as Postgres would."""
    declared = declared_type or (f"{type_name}[]" if array else type_name)
    built_in = postgres_types.get(declared.removesuffix("[]"))
    native = built_in.name if built_in and built_in.name in NATIVE_TYPES else None
    return Column(name, kind_of(native, declared), array, declared, padded=native == "bpchar")
