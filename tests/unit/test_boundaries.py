"""The house: which parts may import which, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = "airflow_provider_cio"
PACKAGES = (PRODUCT, "local", "demo", "benchmarks", "torture")
LONGEST_FILE = 300
"""Lines. A longer file usually has more than one job."""

AIRFLOW_SIDE = ("assets", "specs", "dag_factory", "operators", "hooks", "state", "reports", "plugin", "cli")

FORBIDDEN_IMPORTS = {
    "airflow_provider_cio/engine": ("airflow", *AIRFLOW_SIDE, "emulator"),
    "airflow_provider_cio/track": ("airflow", *AIRFLOW_SIDE, "emulator", "engine"),
    "airflow_provider_cio/emulator": ("airflow", *AIRFLOW_SIDE, "engine", "track"),
    "airflow_provider_cio": ("local", "demo", "benchmarks", "torture", "tests"),
    "local": ("demo", "benchmarks", "torture", "tests"),
    "demo": ("benchmarks", "torture", "tests"),
    "torture": ("demo", "benchmarks", "tests"),
    "benchmarks": ("demo", "torture", "tests"),
}
"""Folder to the packages and parts of the provider that it may not import, not even under TYPE_CHECKING."""


def python_files(folder: str) -> list[Path]:
    """List the Python files of a folder of this repository."""
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(file: Path) -> str:
    """Return the dotted name under which a file is imported."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for package in PACKAGES for file in python_files(package)}


@cache
def imports_of(file: Path) -> frozenset[str]:
    """Return the modules and names that a file imports anywhere, including under TYPE_CHECKING."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: imports are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def imported_modules(name: str) -> set[str]:
    """Return the modules of this repository that a module imports.

    The packages above an imported module are not among them: `__init__.py` of the engine imports its parts,
    so every file below would be in a circle with it.
    """
    found = set()
    for imported in imports_of(MODULES[name]):
        module = imported if imported in MODULES else imported.rpartition(".")[0]
        if module in MODULES and module != name:
            found.add(module)
    return found


def test_the_engine_imports_no_airflow() -> None:
    """The engine and the clients are usable from a plain Python script."""
    program = (
        "import sys; from airflow_provider_cio import engine, specs, track;"
        "sys.exit(any(name.partition('.')[0] == 'airflow' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("airflow_provider_cio.dag_factory", "build_dags"),
        ("airflow_provider_cio.operators.sync", "CustomerIOSyncOperator"),
        ("airflow_provider_cio.hooks.customerio", "CustomerIOHook"),
        ("airflow_provider_cio.emulator.process", "EmulatorProcess"),
        ("airflow_provider_cio.engine", "PeopleQuery ObjectsQuery RelationshipsQuery Sync run_sync"),
        ("airflow_provider_cio.engine", "Rejection Rejections Report Summary Counts Status"),
        ("airflow_provider_cio.engine", "PostgresSource ReadBack"),
        ("airflow_provider_cio.track", "TrackClient AppClient REGIONS APP_REGIONS Region RejectedOperation"),
    ],
)
def test_the_imports_of_users_stay(module: str, names: str) -> None:
    """Files that move leave these names importable. A name that goes is a breaking change."""
    text = MODULES[module].read_text(encoding="utf-8")
    defined = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    defined |= {imported.rpartition(".")[2] for imported in imports_of(MODULES[module])}
    assert set(names.split()) <= defined


def test_no_circle_between_files() -> None:
    """Files can be put into an order in which each imports only files before it."""
    try:
        TopologicalSorter({name: imported_modules(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(f"These files import each other: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("folder", FORBIDDEN_IMPORTS)
def test_dependencies_have_one_direction(folder: str) -> None:
    """The engine does not import Airflow's side, the emulator is independent, and the harness has no demo."""
    forbidden = FORBIDDEN_IMPORTS[folder]
    wrong = [
        f"{file.relative_to(ROOT)} imports {imported}"
        for file in python_files(folder)
        for imported in sorted(imports_of(file))
        if imported.removeprefix(f"{PRODUCT}.").partition(".")[0] in forbidden
    ]
    assert wrong == []


def test_long_files_give_a_reason() -> None:
    """The docstring of a file above 300 lines has a sentence "Longer than 300 lines, because …"."""
    reason = f"Longer than {LONGEST_FILE} lines, because "
    without_reason = []
    for file in MODULES.values():
        text = file.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > LONGEST_FILE and reason not in (ast.get_docstring(ast.parse(text)) or ""):
            without_reason.append(f"{file.relative_to(ROOT)}: {lines} lines")
    assert without_reason == []
