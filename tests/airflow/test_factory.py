"""What a worker does with a folder of many specs when it starts one task."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.airflow.test_cli import GOOD

if TYPE_CHECKING:
    from pathlib import Path

#: Builds as a worker does, and prints the DAGs, and the specs that were read, as YAML or at all.
PROGRAM = """\
import pathlib, sys
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
from airflow_provider_cio.dag_factory import build_dags
from airflow_provider_cio.specs import loading

parsed, read = set(), set()
document = loading.Document

def note(event, arguments):
    path = pathlib.Path(str(arguments[0])) if event == "open" else pathlib.Path()
    if path.suffix == ".yaml" and path.exists():
        read.add(path.name)

class Noting(document):
    def __init__(self, path):
        parsed.add(path.name)
        super().__init__(path)

loading.Document = Noting
sys.addaudithook(note)
with _airflow_parsing_context_manager(dag_id=sys.argv[2], task_id="sync"):
    dags = build_dags(pathlib.Path(sys.argv[1]))
print(sorted(dags), sorted(parsed), len(read))
"""


@pytest.mark.parametrize(
    ("sync", "parsed", "read"),
    [
        ("sync_7", ["sync_7.yaml"], 1),
        ("renamed", ["other.yaml"], 12),  # all are searched for its name, as text
    ],
)
def test_a_worker_reads_the_spec_of_its_task_alone(
    tmp_path: Path, sync: str, parsed: list[str], read: int
) -> None:
    """Found by the name of its file, else by the name that it says."""
    for number in range(10):
        (tmp_path / f"sync_{number}.yaml").write_text(GOOD.replace("name: a", f"name: sync_{number}"))
    (tmp_path / "other.yaml").write_text(GOOD.replace("name: a", "name: renamed"))
    (tmp_path / "broken.yaml").write_text("name: [")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), f"customerio.production.{sync}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"{[f'customerio.production.{sync}']} {parsed} {read}"
    assert "broken.yaml" not in done.stdout + done.stderr
