"""What the commands of ``airflow customerio`` do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from airflow.sdk.exceptions import AirflowException
from rich.console import Console

from airflow_provider_cio.errors import SpecError, SyncError
from airflow_provider_cio.naming import LAST_SYNC_TIME, last_sync_time_key, pool_name
from airflow_provider_cio.specs import SyncSpec, find_specs, load_spec

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

_out = Console(soft_wrap=True, highlight=False)
_err = Console(soft_wrap=True, highlight=False, stderr=True)


def validate(args: Namespace) -> None:
    """Check every spec in a folder; exit 1 when one cannot be used."""
    specs, faults = _load(args.directory)
    for fault in faults:
        _err.print(str(fault), style="red", markup=False)
    if faults:
        raise SystemExit(1)
    _out.print(f"{len(specs)} {'spec is' if len(specs) == 1 else 'specs are'} valid")


def preview(args: Namespace) -> None:
    """Show the first rows of a spec's queries and what would become of them; exit 1 if they are no use."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # as Airflow's own commands do to find connections

    from airflow.sdk.execution_time.context import VariableAccessor

    from airflow_provider_cio.cli.preview import show
    from airflow_provider_cio.dag_factory import build_dag

    try:
        task = cast("CustomerIOSyncOperator", build_dag(load_spec(Path(args.spec))).get_task("sync"))
        variables = {
            "value": VariableAccessor(deserialize_json=False),
            "json": VariableAccessor(deserialize_json=True),
        }
        task.render_template_fields({"params": {}, "var": variables})
        seen = task.preview()
    except (SyncError, AirflowException) as error:
        raise SystemExit(str(error)) from None
    for query in seen:
        show(query, _out)
    if any(query.fault for query in seen):
        raise SystemExit(1)


def pools(args: Namespace) -> None:
    """Create the pools that the specs in a folder need; broken specs are reported and left out."""
    from airflow_provider_cio.pools import create_pools

    specs, faults = _load(args.directory)
    for fault in faults:
        _err.print(str(fault), style="red", markup=False)
    created = create_pools({pool_name(spec.workspace) for spec in specs})
    _out.print("\n".join(f"created {name}" for name in created) or "every pool is there")


def schema(args: Namespace) -> None:  # noqa: ARG001 - Airflow passes it
    """Print the JSON Schema of specs."""
    print(json.dumps(SyncSpec.model_json_schema(), indent=2))  # noqa: T201 - for a file, not for a terminal


def reset(args: Namespace) -> None:
    """Make the next run of a sync send every row."""
    from airflow.models import Variable

    key = last_sync_time_key(args.workspace, args.sync)
    if Variable.get(key, default_var=None) is None:  # noqa: AIR311
        raise SystemExit(
            f"There is no Variable {key}: the sync has not Completed yet, or its name is another."
        )
    Variable.set(key, "0", description=LAST_SYNC_TIME)  # noqa: AIR311
    _out.print(f"{key} is 0 now")


def emulator(args: Namespace) -> None:
    """Run a local workspace until it is interrupted."""
    from airflow_provider_cio.emulator.server import run

    run(args)


def _load(directory: str) -> tuple[list[SyncSpec], list[SpecError]]:
    """Load every spec in a folder, the good and the bad."""
    folder = Path(directory)
    paths = find_specs(folder) if folder.is_dir() else [folder]
    if not paths:
        raise SystemExit(f"There is no .yaml file in {folder}")
    specs: list[SyncSpec] = []
    faults: list[SpecError] = []
    names: set[tuple[str, str]] = set()
    for path in paths:
        try:
            spec = load_spec(path)
            if (spec.workspace, spec.name) in names:
                fault = f"another spec of the workspace {spec.workspace} is named {spec.name}, too"
                raise SpecError(path, [(1, fault)])  # noqa: TRY301 - it is handled like the others
            names.add((spec.workspace, spec.name))
            specs.append(spec)
        except SpecError as error:
            faults.append(error)
    return specs, faults
