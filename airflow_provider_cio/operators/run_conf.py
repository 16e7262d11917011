"""Read the conf of a run: the switches with which a person triggers it.

An unknown key is an error. Otherwise a run with the conf ``{"dryrun": true}`` would send every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.arguments import closest_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SWITCHES = ("dry_run", "full_refresh")
#: TriggerDagRunOperator adds this key, so that OpenLineage can link the two runs.
_KEYS_OF_AIRFLOW = {"openlineage"}
#: The most characters of an unknown key that a message quotes: a key can be any text.
_MAX_QUOTED = 50


@dataclass(frozen=True)
class Switches:
    """The switches of a run.

    Args:
        full_refresh: Use 0 as the last sync time of this run.
        dry_run: Read and check every row, and send nothing.
    """

    full_refresh: bool = False
    dry_run: bool = False


def read_switches(conf: Mapping[str, Any], params: Mapping[str, Any], declared: Collection[str]) -> Switches:
    """Read the switches of a run.

    Args:
        conf: The conf of the run.
        params: The params of the run: those of the DAG, which Airflow updates with the conf.
        declared: The names of the params of the DAG and of the task.

    Raises:
        ConfigurationError: The conf has an unknown key, or a switch is not true or false.
    """
    allowed = sorted({*_SWITCHES, *declared})
    for key in conf:
        if key not in allowed and key not in _KEYS_OF_AIRFLOW:
            raise ConfigurationError(
                f"The run conf has the unknown key {_quote(key)}. {_advice(key, allowed)} Then trigger"
                " the run again."
            )
    for name in _SWITCHES:
        value = params.get(name, False)
        if not isinstance(value, bool):
            raise ConfigurationError(
                f"{name} is {_json_type(value)}. Set it to true or false in the run conf or the DAG's params."
            )
        if name in conf and conf[name] is not value:
            raise ConfigurationError(
                f"The run conf sets {name}, but [core] dag_run_conf_overrides_params = False ignores it."
                " Trigger the run without it, or change the setting."
            )
    return Switches(**{name: params.get(name, False) for name in _SWITCHES})


def _advice(key: str, allowed: list[str]) -> str:
    close = closest_name(key, allowed)
    return f"Did you mean {close}? Correct the key." if close else f"Use only these: {', '.join(allowed)}."


def _quote(key: str) -> str:
    quoted = key if key.isprintable() and key else repr(key)
    return quoted if len(quoted) <= _MAX_QUOTED else f"{quoted[:_MAX_QUOTED]}…"


def _json_type(value: Any) -> str:
    """Return the name of the JSON type of a value. The value itself may be secret."""
    match value:
        case None:
            return "null"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return "a number"
