"""What the commands of ``airflow customerio`` do."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from airflow.sdk.exceptions import AirflowException
from rich.console import Console

from airflow_provider_cio.errors import SyncError
from airflow_provider_cio.specs import SpecFolder, SpecProblem
from airflow_provider_cio.specs.effective import spec_text
from airflow_provider_cio.specs.problems import SpecError, printable, unexpected
from airflow_provider_cio.specs.schema import json_schema
from airflow_provider_cio.state.names import LAST_SYNC_TIME_DESCRIPTION, last_sync_time_key, pool_name

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from airflow_provider_cio.operators.sync import CustomerIOSyncOperator
    from airflow_provider_cio.specs import SyncSpec

_out = Console(soft_wrap=True, highlight=False)
_err = Console(soft_wrap=True, highlight=False, stderr=True)


def validate(args: Namespace) -> None:
    """Check every spec in a folder; exit 1 when one cannot be used, 2 when there is none."""
    specs, faults, warnings = _load(args.directory)
    _FORMATS[args.format](specs, faults, warnings)
    if args.show:
        for path, spec in specs.items():
            _out.print(f"# {printable(str(path))}\n{spec_text(spec)}", markup=False)
    if faults:
        raise SystemExit(1)


def _as_text(
    specs: Mapping[Path, SyncSpec], faults: Sequence[SpecProblem], warnings: Sequence[SpecProblem]
) -> None:
    for warning in warnings:
        _err.print(
            str(dataclasses.replace(warning, message=f"warning: {warning.message}")),
            style="yellow",
            markup=False,
        )
    for fault in faults:
        _err.print(str(fault), style="red", markup=False)
    valid = f"{len(specs)} {'spec is' if len(specs) == 1 else 'specs are'} valid"
    broken = len({fault.path for fault in faults})
    _out.print(
        f"{valid}, {broken} {'file has' if broken == 1 else 'files have'} mistakes" if faults else valid
    )


def _as_json(
    specs: Mapping[Path, SyncSpec], faults: Sequence[SpecProblem], warnings: Sequence[SpecProblem]
) -> None:
    found = {
        "valid": [printable(str(path)) for path in specs],
        "faults": list(map(_as_dict, faults)),
        "warnings": list(map(_as_dict, warnings)),
    }
    print(json.dumps(found, indent=2))  # noqa: T201 - for programs


def _as_dict(fault: SpecProblem) -> dict[str, str | int]:
    return {
        "path": printable(str(fault.path)),
        "line": fault.line,
        "column": fault.column,
        "message": printable(fault.message),
    }


def _as_github(
    specs: Mapping[Path, SyncSpec],  # noqa: ARG001 - as the others
    faults: Sequence[SpecProblem],
    warnings: Sequence[SpecProblem],
) -> None:
    """Write what GitHub Actions shows beside the lines of a pull request."""
    for level, found in (("error", faults), ("warning", warnings)):
        for fault in found:
            path, message = (printable(text).replace("%", "%25") for text in (str(fault.path), fault.message))
            path = path.replace(",", "%2C").replace(":", "%3A")
            print(f"::{level} file={path},line={fault.line},col={fault.column}::{message}")  # noqa: T201


_FORMATS = {"text": _as_text, "json": _as_json, "github": _as_github}


def preview(args: Namespace) -> None:
    """Show the first rows of a spec's queries and what would become of them; exit 1 if they are no use."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # as Airflow's own commands do to find connections

    from airflow.sdk.execution_time.context import VariableAccessor

    from airflow_provider_cio.cli.preview import show
    from airflow_provider_cio.dag_factory import build_dag

    try:
        path, folder = (Path(os.path.abspath(each)) for each in (args.spec, args.specs or "."))  # noqa: PTH100 - it takes `..` out
        spec = SpecFolder(folder if args.specs else path.parent).load(path)
        task = cast("CustomerIOSyncOperator", build_dag(spec).get_task("sync"))
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
    if any(query.problem for query in seen):
        raise SystemExit(1)


def pools(args: Namespace) -> None:
    """Create the pools that the specs in a folder need; broken specs are reported and left out."""
    from airflow_provider_cio.state.pools import create_pools

    specs, faults, _ = _load(args.directory)
    for fault in faults:
        _err.print(str(fault), style="red", markup=False)
    created = create_pools({pool_name(spec.workspace) for spec in specs.values()})
    _out.print("\n".join(f"created {name}" for name in created) or "every pool is there")


def schema(args: Namespace) -> None:  # noqa: ARG001 - Airflow passes it
    """Print the JSON Schema of specs."""
    print(json_schema(), end="")  # noqa: T201 - for a file, not for a terminal


def reset(args: Namespace) -> None:
    """Make the next run of a sync send every row."""
    from airflow.models import Variable

    key = last_sync_time_key(args.workspace, args.sync)
    if Variable.get(key, default_var=None) is None:  # noqa: AIR311
        raise SystemExit(
            f"There is no Variable {key}: the sync has not Completed yet, or its name is another."
        )
    Variable.set(key, "0", description=LAST_SYNC_TIME_DESCRIPTION)  # noqa: AIR311
    _out.print(f"{key} is 0 now")


def emulator(args: Namespace) -> None:
    """Run a local workspace until it is interrupted."""
    from airflow_provider_cio.emulator.server import run

    run(args)


def _load(directory: str) -> tuple[dict[Path, SyncSpec], list[SpecProblem], list[SpecProblem]]:
    """Load every spec in a folder, or one; list every mistake once, also those that only a DAG shows."""
    from airflow_provider_cio.dag_factory import build_dag

    path = Path(directory)
    folder = SpecFolder(path if path.is_dir() else path.parent)
    paths = folder.paths() if path.is_dir() else [path]
    if not paths or not path.exists():
        missing = (
            f"There is no .yaml file in {path}" if path.exists() else f"There is no folder or file {path}"
        )
        _err.print(missing, style="red", markup=False)
        raise SystemExit(2)
    specs, errors = folder.load_all(paths)
    for each, spec in [*specs.items()]:
        try:
            build_dag(spec)
        except Exception as refusal:  # noqa: BLE001 - such as a URI that Airflow does not take
            errors[each] = refusal
            del specs[each]
    faults: set[SpecProblem] = set()
    for broken, error in errors.items():
        others = [SpecProblem(broken, 1, 1, unexpected(error))]
        faults.update(error.faults if isinstance(error, SpecError) else others)
    warnings = {warning for each in specs for warning in folder.advice(each)}
    return specs, sorted(faults), sorted(warnings)
