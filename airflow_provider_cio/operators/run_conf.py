"""What the person who triggers a run may ask for: its conf.

A key that nobody reads is refused: ``{"dryrun": true}`` would send every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_cio.errors import ConfigurationError
from airflow_provider_cio.operators.arguments import suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SWITCHES = ("dry_run", "full_refresh")
#: Airflow's TriggerDagRunOperator adds it, so that OpenLineage can link the two runs.
_AIRFLOWS_OWN = {"openlineage"}
#: A key is the text of somebody else.
_LONGEST_KEY = 50


@dataclass(frozen=True)
class Switches:
    """What a run was asked for.

    Args:
        full_refresh: Use last sync time 0 once.
        dry_run: Read and check everything, and send nothing.
    """

    full_refresh: bool = False
    dry_run: bool = False


def read_switches(conf: Mapping[str, Any], params: Mapping[str, Any], declared: Collection[str]) -> Switches:
    """Read the switches of a run.

    Args:
        conf: The conf of the run.
        params: What Airflow made of it and of the params of the DAG.
        declared: The names of the params of the DAG and of the task.

    Raises:
        ConfigurationError: The conf has a key that nothing reads, or a switch has another type.
    """
    allowed = sorted({*_SWITCHES, *declared})
    for key in conf:
        if key not in allowed and key not in _AIRFLOWS_OWN:
            raise ConfigurationError(
                f"The run conf has the unknown key {_shown(key)}: {suggestion(key, allowed)}"
                " Nothing was read; trigger the run again with a valid conf."
            )
    for name in _SWITCHES:
        value = params.get(name, False)
        if not isinstance(value, bool):
            raise ConfigurationError(
                f"{name} is {_kind(value)}. Set it to true or false in the run conf or the DAG's params."
            )
        if name in conf and conf[name] is not value:
            raise ConfigurationError(
                f"The run conf sets {name}, and [core] dag_run_conf_overrides_params = False ignores it."
                " Trigger the run without it, or change the setting."
            )
    return Switches(**{name: params.get(name, False) for name in _SWITCHES})


def _shown(key: str) -> str:
    shown = key if key.isprintable() and key else repr(key)
    return shown if len(shown) <= _LONGEST_KEY else f"{shown[:_LONGEST_KEY]}…"


def _kind(value: Any) -> str:
    """Name the JSON type of a value, which may be secret itself."""
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
