"""Checks of docker/Dockerfile that need no Docker engine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
INSTRUCTIONS = [
    instruction.split(maxsplit=1)
    for instruction in re.sub(r"^#.*\n|\\\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).splitlines()
    if instruction
]
COPIES = [
    [word for word in shlex.split(rest) if not word.startswith("--")]
    for name, rest in INSTRUCTIONS
    if name == "COPY"
]
SOURCES = [source for *sources, _ in COPIES for source in sources]
RUN = " ".join(rest for name, rest in INSTRUCTIONS if name == "RUN")


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines)


def test_the_image_is_the_airflow_of_the_constraints() -> None:
    """The image has the Airflow of the constraints, and a supported Python."""
    ((_, base),) = [instruction for instruction in INSTRUCTIONS if instruction[0] == "FROM"]
    match = re.fullmatch(r"apache/airflow:(?P<airflow>[\d.]+)-python(?P<python>[\d.]+)", base)
    assert match
    assert match["airflow"] == constraints()["apache-airflow"]
    assert f"Programming Language :: Python :: {match['python']}" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("source", SOURCES)
def test_copied_files_exist_and_reach_the_build(source: str) -> None:
    """Copied files exist in the repository, and .dockerignore includes them."""
    assert (ROOT / source).exists()
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in patterns
    assert f"!{PurePosixPath(source).parts[0]}" in patterns


def test_the_build_sends_nothing_else() -> None:
    """Only files that the Dockerfile copies reach the build: no .env, no history, no tests."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert allowed == {PurePosixPath(source).parts[0] for source in SOURCES}


def test_the_metadata_of_the_package_is_copied() -> None:
    """The build has the files that pyproject.toml refers to."""
    assert {"pyproject.toml", "README.md", "LICENSE", "airflow_provider_cio"} <= set(SOURCES)


def test_packages_are_named_without_an_index() -> None:
    """Packages are installed by name with constraints, and the file names no package index."""
    assert "pip install --no-cache-dir --constraint docker/constraints.txt" in RUN
    for package in ("celery", "fab", "postgres", "redis"):
        assert f" apache-airflow-providers-{package} " in RUN
    assert " . " in RUN
    assert not re.search("index|https?:|find-links", RUN)
    assert RUN.index("image_constraints.py constraints.txt > docker/constraints.txt") < RUN.index(
        "pip install"
    )
    assert "pip check" in RUN


def test_the_image_has_the_files_that_compose_uses() -> None:
    """The init script has the path that the Compose file uses."""
    compose = yaml.safe_load((ROOT / "docker-compose.airflow.yml").read_text())
    folders = [rest for name, rest in INSTRUCTIONS if name == "WORKDIR"]
    assert compose["services"]["init"]["command"] == ["bash", f"{folders[0]}/docker/init.sh"]
    assert folders[-1] == "/opt/airflow"


def test_the_image_keeps_its_versions(tmp_path: Path) -> None:
    """Installed packages keep their version, under any spelling. Others get the tested version."""
    tested = tmp_path / "constraints.txt"
    tested.write_text("# tested\nPyYAML==1.0\ntyping_extensions==1.0\n\nnowhere-installed==2.5\n")
    script = ROOT / "docker" / "image_constraints.py"
    done = subprocess.run([sys.executable, script, tested], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert f"pyyaml=={version('pyyaml')}" in lines
    assert f"typing-extensions=={version('typing-extensions')}" in lines
    assert "nowhere-installed==2.5" in lines
    assert len({line.partition("==")[0] for line in lines}) == len(lines)
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+", line) for line in lines)
