"""From files to specs: a folder of them, the defaults above each, and every mistake at its place."""

from __future__ import annotations

import os
import re
from collections import ChainMap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_provider_cio.specs.document import Document
from airflow_provider_cio.specs.faults import Fault, SpecError, did_you_mean
from airflow_provider_cio.specs.messages import fault_of
from airflow_provider_cio.specs.model import Defaults, SyncSpec
from airflow_provider_cio.specs.templates import template_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ENDINGS = (".yaml", ".yml")
_DEFAULTS = "defaults.yaml"
_QUERIES = ("people", "objects", "relationships")


class SpecFolder:
    """A folder with specs, also in folders in it, and with the defaults that hold for them.

    Args:
        root: The folder; defaults above it do not count.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._defaults = cache(self._read_defaults)

    def paths(self) -> list[Path]:
        """List the files of specs in a stable order; hidden ones are left out."""
        found: list[str] = []
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [
                os.path.join(folder, name)  # noqa: PTH118 - a path object for each of thousands costs time
                for name in files
                if name.endswith(_ENDINGS) and name != _DEFAULTS and not name.startswith(".")
            ]
        return [Path(path) for path in sorted(found)]

    def load(self, path: Path) -> SyncSpec:
        """Read a spec.

        Raises:
            SpecError: Lists all that is wrong with it, and with the defaults that it needs.
        """
        document = Document(path)
        faults = list(document.faults)
        defaults: list[Document] = []
        try:
            defaults = self._defaults(path.parent)
        except SpecError as error:
            faults += error.faults
        content = {**ChainMap(*(each.content for each in defaults)), **document.content}
        faults += _read_queries(document, content, self.root)
        try:
            spec = SyncSpec.model_validate(content)
        except ValidationError as error:
            faults += [
                fault_of(each, [document, *defaults], SyncSpec) for each in error.errors(include_url=False)
            ]
        if faults:
            raise SpecError(sorted(set(faults)))
        return spec

    def load_all(self, paths: Sequence[Path]) -> tuple[dict[Path, SyncSpec], dict[Path, Exception]]:
        """Read many specs.

        Of two with the same name in a workspace the one whose file is named like the sync is used, else the
        first; the other is an error.

        Returns:
            The specs that can be used, and why the others cannot: a `SpecError`, or what we did not expect.
        """
        specs: dict[Path, SyncSpec] = {}
        errors: dict[Path, Exception] = {}
        for path in paths:
            try:
                specs[path] = self.load(path)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one spec, the others are read
                errors[path] = error
        owners: dict[str, Path] = {}
        for path in sorted(specs, key=lambda path: (path.stem != specs[path].name, path)):
            owner = owners.setdefault(specs[path].dag_id, path)
            if owner != path:
                errors[path] = _same_name(path, owner)
        return {path: spec for path, spec in specs.items() if path not in errors}, errors

    def names(self, path: Path) -> tuple[str, str] | None:
        """Read workspace and name of a spec, however broken it is; None when it does not say them plainly."""
        name = _plain_value(path, "name")
        folders = [folder for folder in path.parents if folder.is_relative_to(self.root)]
        files = [path, *(folder / _DEFAULTS for folder in folders)]
        workspace = next(filter(None, (_plain_value(file, "workspace") for file in files)), None)
        return (workspace, name) if workspace and name else None

    def _read_defaults(self, folder: Path) -> list[Document]:
        """Read the defaults that hold in a folder, the nearest first."""
        above = (
            [] if folder == self.root or self.root not in folder.parents else self._defaults(folder.parent)
        )
        path = folder / _DEFAULTS
        if not path.is_file():
            return above
        document = Document(path)
        faults = list(document.faults)
        try:
            Defaults.model_validate(document.content)
        except ValidationError as error:
            faults += [fault_of(each, [document], Defaults) for each in error.errors(include_url=False)]
        if faults:
            raise SpecError(sorted(set(faults)))
        return [document, *above]


def _same_name(path: Path, owner: Path) -> SpecError:
    document = Document(path)
    message = f"is also the name of {owner}, a sync of the same workspace"
    return SpecError([document.fault(document.value(("name",)), message)])


def _read_queries(document: Document, content: dict[str, Any], root: Path) -> Iterator[Fault]:
    """Put the text of every `query_file` into the content, and check what queries have between braces."""
    for part in _QUERIES:
        if not isinstance(content.get(part), dict):
            continue
        if "query_file" not in content[part]:
            query = content[part].get("query")
            for fault in template_faults(query) if isinstance(query, str) else ():
                place = document.within((part, "query"), fault.line, fault.column, fault.length)
                yield document.fault(place, fault.message)
        elif "query" in content[part]:
            yield document.fault(
                document.key((part, "query_file")), "give query or query_file, one of the two"
            )
        elif isinstance(file := content[part]["query_file"], str):
            path = document.path.parent / file
            try:
                query = path.read_text(encoding="utf-8") if _lies_in(root, path) else None
            except (OSError, ValueError):
                query = None
            if query is None:
                beside = sorted(other.name for other in path.parent.glob("*.sql"))
                hint = f": {did_you_mean(file, beside)}" if beside else ", nor any other .sql file"
                message = f"there is no readable file {file} beside the spec{hint}"
                yield document.fault(document.value((part, "query_file")), message)
                query = "SELECT"  # so that nothing else is said of it
            content[part] = {**content[part], "query": query}
            lines = query.split("\n")
            for fault in template_faults(query):
                yield Fault(
                    path, fault.line, fault.column, fault.message, lines[fault.line - 1], fault.length
                )


def _lies_in(root: Path, path: Path) -> bool:
    """Tell whether a file is one of the folder's: its text is shown, and others hold secrets."""
    return path.resolve().is_relative_to(root.resolve())


def _plain_value(path: Path, key: str) -> str | None:
    """Find a name in a file that may not be YAML."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{key}:[ \t]*[\"']?([a-z0-9_]+)[\"']?[ \t]*(?:#.*)?$", text, re.MULTILINE)
    return found and found.group(1)
