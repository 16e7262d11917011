"""Links between the documents of this repository."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_find_links = re.compile(r"\]\(([^()\s]+)\)").findall
_find_headings = re.compile(r"^#+ (.+)$", re.MULTILINE).findall
_remove_blocks = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL).sub
_remove_code = re.compile(r"`[^`\n]*`").sub


@cache
def anchors_of(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = _find_headings(_remove_blocks("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(document: Path) -> None:
    """Each relative link leads to a file of this repository, and its anchor to a heading of that file."""
    text = _remove_code("", _remove_blocks("", document.read_text(encoding="utf-8")))
    broken = []
    for link in _find_links(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_the_map_of_folders_is_complete() -> None:
    """The map in CONTRIBUTING.md names only paths that exist, and every folder of the provider."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("```\nairflow_provider_cio/\n")
    listed = {"airflow_provider_cio"}
    folders = ["airflow_provider_cio"]
    for line in rest.partition("```")[0].splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        depth = (indent + 2) // 4
        folders[depth:] = [name.rstrip("/")]
        listed.add("/".join(folders))
    assert [path for path in sorted(listed) if not (ROOT / path).exists()] == []
    packages = {path.parent.name for path in ROOT.glob("airflow_provider_cio/*/__init__.py")}
    assert packages <= {path.split("/")[1] for path in listed if "/" in path}
