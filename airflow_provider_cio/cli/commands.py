"""The commands of ``airflow customerio``."""

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
from airflow_provider_cio.specs.effective import effective_yaml
from airflow_provider_cio.specs.problems import SpecError, describe_unexpected, printable
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
    """Check every spec in a folder. The exit code is 1 if a spec cannot be used, and 2 if there is none."""
    specs, problems, warnings = _load(args.directory)
    _FORMATS[args.format](specs, problems, warnings)
    if args.show:
        for path, spec in specs.items():
            _out.print(f"# {printable(str(path))}\n{effective_yaml(spec)}", markup=False)
    if problems:
        raise SystemExit(1)


def _as_text(
    specs: Mapping[Path, SyncSpec], problems: Sequence[SpecProblem], warnings: Sequence[SpecProblem]
) -> None:
    for warning in warnings:
        _err.print(
            str(dataclasses.replace(warning, message=f"warning: {warning.message}")),
            style="yellow",
            markup=False,
        )
    for problem in problems:
        _err.print(str(problem), style="red", markup=False)
    valid = f"{len(specs)} {'spec is' if len(specs) == 1 else 'specs are'} valid"
    broken = len({problem.path for problem in problems})
    _out.print(
        f"{valid}, {broken} {'file has' if broken == 1 else 'files have'} mistakes" if problems else valid
    )


def _as_json(
    specs: Mapping[Path, SyncSpec], problems: Sequence[SpecProblem], warnings: Sequence[SpecProblem]
) -> None:
    found = {
        "valid": [printable(str(path)) for path in specs],
        "faults": list(map(_as_dict, problems)),  # the key that programs read
        "warnings": list(map(_as_dict, warnings)),
    }
    print(json.dumps(found, indent=2))  # noqa: T201 - for programs, without the formatting of a console


def _as_dict(problem: SpecProblem) -> dict[str, str | int]:
    return {
        "path": printable(str(problem.path)),
        "line": problem.line,
        "column": problem.column,
        "message": printable(problem.message),
    }


def _as_github(
    specs: Mapping[Path, SyncSpec],  # noqa: ARG001 - part of the interface
    problems: Sequence[SpecProblem],
    warnings: Sequence[SpecProblem],
) -> None:
    """Print annotations, which GitHub Actions displays beside the lines of a pull request."""
    for level, found in (("error", problems), ("warning", warnings)):
        for problem in found:
            path, message = (
                printable(text).replace("%", "%25") for text in (str(problem.path), problem.message)
            )
            path = path.replace(",", "%2C").replace(":", "%3A")
            print(f"::{level} file={path},line={problem.line},col={problem.column}::{message}")  # noqa: T201


_FORMATS = {"text": _as_text, "json": _as_json, "github": _as_github}


def preview(args: Namespace) -> None:
    """Print the first rows of a spec's queries, and what a run would do with them."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # Airflow's own commands set it to find connections

    from airflow.sdk.execution_time.context import VariableAccessor

    from airflow_provider_cio.cli.preview import MAX_ROWS, Layout, print_preview
    from airflow_provider_cio.cli.send_one import send_one
    from airflow_provider_cio.dag_factory import build_dag
    from airflow_provider_cio.hooks.customerio import read_seconds

    if not 1 <= args.rows <= MAX_ROWS:
        raise SystemExit(f"--rows {args.rows} is not valid. Give a number from 1 to {MAX_ROWS:,}.")
    try:
        path, folder = (Path(os.path.abspath(each)) for each in (args.spec, args.specs or "."))  # noqa: PTH100 - it resolves `..` and keeps links
        spec = SpecFolder(folder if args.specs else path.parent).load(path)
        variables = {
            "value": VariableAccessor(deserialize_json=False),
            "json": VariableAccessor(deserialize_json=True),
        }
        tasks = {}
        for full_refresh in (args.full_refresh, True):
            task = tasks[full_refresh] = cast("CustomerIOSyncOperator", build_dag(spec).get_task("sync"))
            task.render_template_fields({"params": {"full_refresh": full_refresh}, "var": variables})
        previews = tasks[args.full_refresh].preview(
            rows=args.rows, full_refresh=None if args.no_count else tasks[True]
        )
        layout = Layout.of(previews, args.columns, narrow=args.narrow)
    except (SyncError, AirflowException) as error:
        raise SystemExit(str(error)) from None
    for query in previews:
        print_preview(query, layout, _out)
    if any(query.problem for query in previews):
        raise SystemExit(1)
    if args.send_one is not None:
        try:
            send_one(previews[0], args.send_one, spec.connection, read_seconds("apply_wait"), _out)
        except (SyncError, AirflowException) as error:
            raise SystemExit(str(error)) from None


def status(args: Namespace) -> None:
    """Show the state of each sync; exit 2 if Airflow has none."""
    from airflow.utils.session import create_session

    from airflow_provider_cio.cli.status import as_json, read_statuses, show

    with create_session() as session:
        statuses = read_statuses(session, args.workspace)
    if args.format == "json":
        print(as_json(statuses))  # noqa: T201 - for programs
    elif statuses:
        show(statuses, _out)
    if not statuses:
        where = f" in workspace {args.workspace}" if args.workspace else ""
        _err.print(
            f"Airflow has no sync{where}. A new spec is in the list half a minute later.", markup=False
        )
        raise SystemExit(2)


def pools(args: Namespace) -> None:
    """Create the pools that the specs in a folder need. Broken specs are reported and skipped."""
    from airflow_provider_cio.state.pools import create_pools

    specs, problems, _ = _load(args.directory)
    for problem in problems:
        _err.print(str(problem), style="red", markup=False)
    created = create_pools({pool_name(spec.workspace) for spec in specs.values()})
    _out.print("\n".join(f"created {name}" for name in created) or "all pools exist already")


def schema(args: Namespace) -> None:  # noqa: ARG001 - part of Airflow's interface
    """Print the JSON Schema of specs."""
    print(json_schema(), end="")  # noqa: T201 - for a file


def reset(args: Namespace) -> None:
    """Make the next run of a sync send every row."""
    from airflow.models import Variable

    key = last_sync_time_key(args.workspace, args.sync)
    if Variable.get(key, default_var=None) is None:  # noqa: AIR311
        raise SystemExit(
            f"The Variable {key} does not exist: the sync has not Completed yet, or its name is wrong."
        )
    Variable.set(key, "0", description=LAST_SYNC_TIME_DESCRIPTION)  # noqa: AIR311
    _out.print(f"{key} is now 0: the next run sends every row")


def emulator(args: Namespace) -> None:
    """Run a local workspace until it is interrupted."""
    from airflow_provider_cio.emulator.server import run

    run(args)


def _load(directory: str) -> tuple[dict[Path, SyncSpec], list[SpecProblem], list[SpecProblem]]:
    """Load one spec, or all specs in a folder, with all problems. Building the DAGs finds some of them."""
    from airflow_provider_cio.dag_factory import build_dag

    path = Path(directory)
    folder = SpecFolder(path if path.is_dir() else path.parent)
    paths = folder.paths() if path.is_dir() else [path]
    if not paths or not path.exists():
        missing = (
            f"{path} has no .yaml file"
            if path.exists()
            else f"{path} does not exist: give a folder or a file"
        )
        _err.print(missing, style="red", markup=False)
        raise SystemExit(2)
    specs, errors = folder.load_all(paths)
    for each, spec in [*specs.items()]:
        try:
            build_dag(spec)
        except Exception as refusal:  # noqa: BLE001 - such as a URI that Airflow refuses
            errors[each] = refusal
            del specs[each]
    problems: set[SpecProblem] = set()
    for broken, error in errors.items():
        others = [SpecProblem(broken, 1, 1, describe_unexpected(error))]
        problems.update(error.problems if isinstance(error, SpecError) else others)
    warnings = {warning for each in specs for warning in folder.advice(each)}
    return specs, sorted(problems), sorted(warnings)
