"""A thousand DAGs: ours from specs, beside dag-factory, blueprint and plain Python.

All contenders build equal DAGs, which is checked: schedule, tags, params, docs, and one task of the same
operator with the same arguments. Each runs in a process of its own, in rounds and in turns, so that noise of
the machine reaches all of them. The clock starts when a process has imported what Airflow's workers have
imported before they read a DAG file, has built one DAG by hand, so that what Airflow imports at first use is
there, and has imported the contender.

The peers are in ``.cache/peers``, with the versions of `constraints.txt`, and all contenders run there.
"""

from __future__ import annotations

import datetime as dt
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    Parse = Callable[[], dict[str, DAG]]

DAGS = 1000
ROUNDS = 5

_WANTED = DAGS // 2
_LOOKED_AT = (0, _WANTED, DAGS - 1)

_ROOT = Path(__file__).parents[1]
_EQUAL_DAGS = Path(__file__).with_name("equal_dags")
_FILES = {
    "specs": ("spec.yaml", "sync_{}.yaml"),
    "dag-factory": ("dag_factory.yaml", "sync_{}.yaml"),
    "blueprint": ("blueprint.dag.yaml", "sync_{}.dag.yaml"),
}
_QUERY = Template("""\
SELECT id, email, first_name, plan, created AS created_at
FROM people_$number
WHERE extract(epoch FROM updated_at) >= {{ last_sync_time }}
""")


def specs(folder: Path) -> Parse:
    """Build DAGs as our users do."""
    from airflow_provider_cio.dag_factory import build_dags  # noqa: PLC0415 - only where it contends

    return lambda: build_dags(folder / "specs")


def one_of_specs(folder: Path) -> Parse:
    """Build DAGs as our users do, in a worker that is about to run one of them."""
    from airflow.sdk.definitions._internal import dag_parsing_context  # noqa: PLC0415

    parse = specs(folder)

    def parse_one() -> dict[str, DAG]:
        with dag_parsing_context._airflow_parsing_context_manager(_dag_id(_WANTED), "sync"):  # noqa: SLF001 - as workers do
            return parse()

    return parse_one


def dag_factory(folder: Path) -> Parse:
    """Build DAGs with dag-factory."""
    from dagfactory import load_yaml_dags  # type: ignore[import-not-found] # noqa: PLC0415

    def parse() -> dict[str, DAG]:
        dags: dict[str, DAG] = {}
        home = str(folder / "dag-factory")
        load_yaml_dags(dags, dags_folder=home, defaults_config_path=home)
        return dags

    return parse


def blueprint(folder: Path) -> Parse:
    """Build DAGs with blueprint; it has no params of a DAG's own, so that they are given afterwards."""
    from blueprint import build_all_airflow_dags  # type: ignore[import-not-found] # noqa: PLC0415

    def parse() -> dict[str, DAG]:
        dags: dict[str, DAG] = {}
        build_all_airflow_dags(
            folder / "blueprint",
            register_globals=dags,
            on_dag_built=lambda dag, _: dag.params.update(_params()),
        )
        return dags

    return parse


def plain_python(_: Path) -> Parse:
    """Build DAGs as one writes them by hand."""
    return lambda: {_dag_id(number): _dag(number, params=_params()) for number in range(DAGS)}


def plain_python_params_last(_: Path) -> Parse:
    """Build DAGs by hand in the quickest way: earlier, Airflow would check and copy the params."""

    def parse() -> dict[str, DAG]:
        dags = {}
        for number in range(DAGS):
            dag = dags[_dag_id(number)] = _dag(number)
            dag.params.update(_params())
        return dags

    return parse


#: What builds the DAGs, and how many of them.
CONTENDERS: dict[str, tuple[Callable[[Path], Parse], int]] = {
    "plain Python, params last": (plain_python_params_last, DAGS),
    "plain Python": (plain_python, DAGS),
    "specs": (specs, DAGS),
    "specs, one is to run": (one_of_specs, 1),
    "dag-factory": (dag_factory, DAGS),
    "blueprint": (blueprint, DAGS),
}
PEERS = {"dag-factory", "blueprint"}


def _dag_id(number: int) -> str:
    return f"customerio.production.sync_{number}"


def _cron(number: int) -> str:
    return f"{number % 60} * * * *"


def _params() -> dict[str, Any]:
    from airflow.sdk import Param  # noqa: PLC0415 - the parent needs no Airflow

    titles = {"full_refresh": "Full refresh", "dry_run": "Dry run"}
    return {name: Param(default=False, type="boolean", title=title) for name, title in titles.items()}


def _dag(number: int, **arguments: Any) -> DAG:
    """Build a DAG by hand."""
    from airflow.sdk import DAG  # noqa: PLC0415 - the parent needs no Airflow

    from airflow_provider_cio.operators.sync import CustomerIOSyncOperator  # noqa: PLC0415

    with DAG(
        _dag_id(number),
        description="Everyone who was changed since the last run",
        schedule=_cron(number),
        start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        catchup=False,
        max_active_runs=1,
        tags={"crm", "customerio", "people", "production"},
        doc_md="Imports people from `warehouse` into the workspace **production**.",
        **arguments,
    ) as dag:
        CustomerIOSyncOperator(
            task_id="sync",
            workspace="production",
            sync_name=f"sync_{number}",
            postgres_conn_id="warehouse",
            identify_by="id",
            people_query=_QUERY.substitute(number=number),
            retries=3,
            owner="growth-team",
        )
    return dag


def _facts(dag: Any) -> dict[str, Any]:
    """Say of a DAG what all contenders have to agree on."""
    task = dag.task_dict["sync"]
    of_dag = ("description", "start_date", "catchup", "max_active_runs")
    of_task = ("task_type", "workspace", "sync_name", "postgres_conn_id", "customerio_conn_id", "identify_by")
    of_airflow = ("retries", "owner", "pool", "outlets")
    return {
        **{name: getattr(dag, name) for name in of_dag},
        **{name: getattr(task, name) for name in (*of_task, *of_airflow)},
        "query": task.people_query.strip(),
        "schedule": (dag.timetable.expression, str(dag.timetable.timezone)),
        "tags": set(dag.tags) - {"dagfactory"},
        "params": dag.params.dump(),
        "documented": bool(dag.doc_md),
    }


def _check(dags: dict[str, DAG], count: int) -> None:
    """Refuse a contender that built other DAGs: its time would say nothing."""
    wanted = {_dag_id(number) for number in (range(DAGS) if count == DAGS else [_WANTED])}
    if set(dags) != wanted:
        raise SystemExit(f"built {len(dags)} DAGs, of which {len(wanted & set(dags))} are the {count} wanted")
    for number in _LOOKED_AT if count == DAGS else [_WANTED]:
        found, expected = _facts(dags[_dag_id(number)]), _facts(_dag(number, params=_params()))
        if found != expected:
            raise SystemExit(f"built {found} instead of {expected}")


def contend(name: str, folder: str) -> None:
    """Run one contender and print the seconds for imports and for DAGs; called in a process of its own."""
    build, count = CONTENDERS[name]
    start = time.perf_counter()
    import airflow.dag_processing.dagbag  # noqa: F401, PLC0415 - to have it imported

    _dag(0)
    parse = build(Path(folder))
    gc.freeze()  # as Airflow does before it forks the process that reads a DAG file
    ready = time.perf_counter()
    dags = parse()
    done = time.perf_counter()
    _check(dags, count)
    print(ready - start, done - ready)  # noqa: T201 - the parent reads it


def _write(folder: Path) -> None:
    """Write the files from which the DAGs are built."""
    for name, (template_name, file_name) in _FILES.items():
        template = Template((_EQUAL_DAGS / template_name).read_text(encoding="utf-8"))
        (folder / name).mkdir()
        for number in range(DAGS):
            text = template.substitute(number=number, cron=_cron(number))
            (folder / name / file_name.format(number)).write_text(text, encoding="utf-8")
    shutil.copy(_EQUAL_DAGS / "blueprint_template.py", folder / "blueprint")


def _peers_python() -> Path:
    """Install the peers, and what we need, in an environment of their own.

    Raises:
        CalledProcessError: That failed; its `stderr` says why.
    """
    environment = _ROOT / ".cache" / "peers"
    python = environment / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    packages = ["--requirement", str(_EQUAL_DAGS / "peers.txt"), "--editable", str(_ROOT)]
    constraints = ["--constraint", str(_ROOT / "constraints.txt")]
    for command in (
        [*uv, "venv", "--allow-existing", "--python", sys.executable, str(environment)],
        [*uv, "pip", "install", "--python", str(python), *constraints, *packages],
    ):
        subprocess.run(command, check=True, capture_output=True, text=True)
    return python


def main() -> None:
    """Run all contenders in rounds and print medians."""
    console = Console()
    names = list(CONTENDERS)
    try:
        python = str(_peers_python())
    except subprocess.CalledProcessError as error:
        console.print(f"The peers cannot be installed, so that only we run:\n{error.stderr}", markup=False)
        python, names = sys.executable, [name for name in names if name not in PEERS]
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(folder)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",  # the peers write lines for each DAG
            "DO_NOT_TRACK": "1",  # dag-factory's telemetry
        }
        for number in range(ROUNDS):
            for name in names if number % 2 == 0 else reversed(names):
                command = [python, "-m", "benchmarks.parsing", name, temporary]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
                imports, seconds = map(float, done.stdout.split())
                results[name].append((imports, seconds))
                console.print(f"round {number + 1}: {name}: {seconds * 1000:,.1f} ms")
    console.print(_table(results))


def _table(results: dict[str, list[tuple[float, float]]]) -> Table:
    """Show medians."""
    table = Table(title=f"{DAGS:,} DAGs of one task, medians of {ROUNDS} rounds")
    for heading in ("contender", "DAGs", "ms", "ms a DAG", "best", "imports, ms"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for name, measured in results.items():
        imports, seconds = (statistics.median(column) * 1000 for column in zip(*measured, strict=True))
        best = min(each for _, each in measured) * 1000
        count = CONTENDERS[name][1]
        cells = (f"{count:,}", f"{seconds:,.1f}", f"{seconds / count:.2f}", f"{best / count:.2f}")
        table.add_row(name, *cells, f"{imports:,.0f}")
    return table


if __name__ == "__main__":
    contend(*sys.argv[1:]) if len(sys.argv) > 1 else main()
