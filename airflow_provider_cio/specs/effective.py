"""The effective spec, with its defaults, as YAML that can be displayed.

It is built from the parsed values and not from the text of the file, so no spelling can reveal a secret.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.state.names import last_sync_time_key, pool_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_cio.specs.model import SyncSpec

_FIRST = ("name", "description", "workspace")
#: Left out: `query_file`, whose text is in `query`, and arguments of notifiers, which can be tokens.
_LEFT_OUT: dict[str, Any] = {
    **{key: {"query_file": True} for key in ("people", "objects", "relationships")},
    **{key: {"__all__": {"arguments": True}} for key in ("on_success", "on_failure", "on_skipped")},
}
#: How a text must begin, and what it must not contain, to be the same text in YAML without quotes.
_BEGINS_PLAIN = re.compile(r"[A-Za-z_]|[0-9]+ [a-z]").match
_NEEDS_QUOTES = re.compile(r":(?:\s|$)|\s#|\s$").search
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
#: Characters that JSON and YAML escape differently, and the ends of lines in YAML.
_ESCAPED = re.compile("[\x7f-\xa0\u2028\u2029\ufeff]")


def effective_yaml(spec: SyncSpec) -> str:
    """Write a spec as YAML with all its values, below comments with its names in Airflow."""
    names = [
        f"# DAG {spec.dag_id}, pool {pool_name(spec.workspace)}",
        f"# Variable {last_sync_time_key(spec.workspace, spec.name)}",
        *([f"# runs at {' and at '.join(spec.crons)} ({spec.timezone})"] if spec.crons else ()),
    ]
    values = spec.model_dump(mode="json", exclude_none=True, exclude=_LEFT_OUT)
    values["customerio_conn_id"] = spec.connection
    set_values = {key: values[key] for key in (*_FIRST, *values) if values[key] not in ("", [], {})}
    return "\n".join([*names, *_mapping(set_values, "")]) + "\n"


def _mapping(values: dict[str, Any], indent: str) -> Iterator[str]:
    """Yield the lines of a mapping. PyYAML would take ten times as long, at every parse of every spec."""
    for key, value in values.items():
        name = f"{indent}{_line(key)}"
        if isinstance(value, dict) and value:
            yield f"{name}:"
            yield from _mapping(value, f"{indent}  ")
        elif isinstance(value, list) and value:
            yield f"{name}:"
            for each in value:
                if isinstance(each, dict):
                    first, *rest = _mapping(each, f"{indent}  ")
                    yield from (f"{indent}- {first[len(indent) + 2 :]}", *rest)
                else:
                    yield f"{indent}- {_text(each, indent)}"
        else:
            yield f"{name}: {_text(value, indent)}"


def _text(value: Any, indent: str) -> str:
    """Write a scalar. A text of several lines becomes a block."""
    if not isinstance(value, str):
        return json.dumps(value)
    lines = value.split("\n")
    if len(lines) > 1 and lines[0][:1] not in ("", " ") and all(map(str.isprintable, lines)):
        end = value[len(value.rstrip("\n")) :]
        sign = {"": "|-", "\n": "|"}.get(end, "|+")
        block = value.removesuffix("\n").split("\n")
        return f"{sign}\n" + "\n".join(f"{indent}  {line}" if line else "" for line in block)
    return _line(value)


@lru_cache(maxsize=1024)  # keys, and values that many specs share
def _line(value: str) -> str:
    """Write a text on one line, in quotes where YAML needs them."""
    plain = value.isprintable() and _BEGINS_PLAIN(value) and not _NEEDS_QUOTES(value)
    if plain and value.lower() not in _WORDS:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", quoted)
