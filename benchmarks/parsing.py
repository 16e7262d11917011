"""A thousand DAGs from specs, compared with dag-factory, blueprint and plain Python.

All contenders build equal DAGs, which is checked: schedule, tags, params, docs, and one task of the same
operator with the same arguments. Each runs in its own process, in alternating rounds, so that noise of the
machine affects all of them. The clock starts after a process has imported the modules that Airflow's workers
import before they read a DAG file, has built one DAG by hand to load what Airflow imports at first use, and
has imported the contender.

The peers are installed in ``.cache/peers``, with the versions of `constraints.txt`. All contenders run there.
"""

from __future__ import annotations

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

from benchmarks.parsing_contenders import CONTENDERS, DAGS, ONE, PEERS, build_by_hand, cron, dag_id, params

if TYPE_CHECKING:
    from airflow.sdk import DAG

ROUNDS = 5

_COMPARED = (0, ONE, DAGS - 1)

_ROOT = Path(__file__).parents[1]
_EQUAL_DAGS = Path(__file__).with_name("equal_dags")
_FILES = {
    "specs": ("spec.yaml", "sync_{}.yaml"),
    "dag-factory": ("dag_factory.yaml", "sync_{}.yaml"),
    "blueprint": ("blueprint.dag.yaml", "sync_{}.dag.yaml"),
}


def _facts(dag: Any) -> dict[str, Any]:
    """Return the properties of a DAG that must be equal for all contenders."""
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
    """Check that a contender built the expected DAGs; otherwise its time would be meaningless."""
    wanted = {dag_id(number) for number in (range(DAGS) if count == DAGS else [ONE])}
    if set(dags) != wanted:
        raise SystemExit(
            f"{len(dags)} DAGs were built, of which {len(wanted & set(dags))} are among the {count} expected"
        )
    for number in _COMPARED if count == DAGS else [ONE]:
        found, expected = _facts(dags[dag_id(number)]), _facts(build_by_hand(number, params=params()))
        if found != expected:
            raise SystemExit(f"built {found} instead of {expected}")


def contend(name: str, folder: str) -> None:
    """Run one contender in this process, and print the seconds for imports and for DAGs."""
    build, count = CONTENDERS[name]
    start = time.perf_counter()
    import airflow.dag_processing.dagbag  # noqa: F401, PLC0415 - only to load it

    build_by_hand(0)
    parse = build(Path(folder))
    gc.freeze()  # as Airflow does before it forks the process that reads a DAG file
    ready = time.perf_counter()
    dags = parse()
    done = time.perf_counter()
    _check(dags, count)
    print(ready - start, done - ready)  # noqa: T201 - the parent process reads it


def _write(folder: Path) -> None:
    """Write the files from which the DAGs are built."""
    for name, (template_name, file_name) in _FILES.items():
        template = Template((_EQUAL_DAGS / template_name).read_text(encoding="utf-8"))
        (folder / name).mkdir()
        for number in range(DAGS):
            text = template.substitute(number=number, cron=cron(number))
            (folder / name / file_name.format(number)).write_text(text, encoding="utf-8")
    shutil.copy(_EQUAL_DAGS / "blueprint_template.py", folder / "blueprint")


def _peers_python() -> Path:
    """Install the peers and our dependencies in a separate environment.

    Returns:
        The Python of the environment.

    Raises:
        CalledProcessError: The installation failed; `stderr` has the reason.
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
        console.print(
            f"The peers could not be installed, so only our contenders run:\n{error.stderr}", markup=False
        )
        python, names = sys.executable, [name for name in names if name not in PEERS]
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(folder)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",  # the peers log lines for each DAG
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
    """Return a table of medians."""
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
