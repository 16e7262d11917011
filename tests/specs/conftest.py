from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.specs import SpecFolder
from airflow_provider_cio.specs.problems import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_cio.specs import SyncSpec

GOOD = """\
name: active_people
workspace: production
postgres_conn_id: warehouse
people:
  query: SELECT id FROM people
"""


class Folder:
    """A folder with specs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def load(self, text: str = GOOD, name: str = "spec.yaml") -> SyncSpec:
        """Write a spec and load it."""
        return SpecFolder(self.root).load(self.write(name, text))

    def problems(self, text: str, name: str = "spec.yaml") -> list[str]:
        """Write a broken spec and return its problems, each with file, line and column."""
        with pytest.raises(SpecError) as error:
            self.load(text, name)
        return [
            f"{problem.path.relative_to(self.root)}:{problem.line}:{problem.column}: {problem.message}"
            for problem in error.value.problems
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
