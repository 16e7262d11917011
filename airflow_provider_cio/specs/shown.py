"""A spec as it is after its defaults, and what it becomes in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_cio.naming import last_sync_time_key, pool_name

if TYPE_CHECKING:
    from airflow_provider_cio.specs.model import SyncSpec

_FIRST = ("name", "description", "workspace")
#: What `query` has the text of, and what may hold a token.
_LEFT_OUT: dict[str, Any] = {
    **{key: {"query_file": True} for key in ("people", "objects", "relationships")},
    **{key: {"__all__": {"arguments": True}} for key in ("on_success", "on_failure", "on_skipped")},
}


def spec_text(spec: SyncSpec) -> str:
    """Write a spec as YAML with all of its values, below the names by which one finds it in Airflow."""
    names = [
        f"# DAG {spec.dag_id}, pool {pool_name(spec.workspace)}",
        f"# Variable {last_sync_time_key(spec.workspace, spec.name)}",
        *([f"# runs at {' and at '.join(spec.crons)} ({spec.timezone})"] if spec.crons else ()),
    ]
    values = spec.model_dump(mode="json", exclude_none=True, exclude=_LEFT_OUT)
    values["customerio_conn_id"] = spec.connection
    said = {key: values[key] for key in (*_FIRST, *values) if values[key] not in ("", [], {})}
    return "\n".join(names) + "\n" + yaml.dump(said, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes queries as people do, line by line."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
