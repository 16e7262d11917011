"""From files to specs: a folder of specs, the defaults above each, and the position of every mistake."""

from __future__ import annotations

import os
import re
from collections import ChainMap, Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from airflow_provider_cio.settings import NAME_PATTERN
from airflow_provider_cio.specs.advice import masked_key, query_advice
from airflow_provider_cio.specs.document import NOTIFIERS, Document
from airflow_provider_cio.specs.files import UnreadableError, read_text, walk
from airflow_provider_cio.specs.messages import known_keys, problems_of
from airflow_provider_cio.specs.model import Defaults, SyncSpec
from airflow_provider_cio.specs.problems import SpecError, SpecProblem, sorted_problems
from airflow_provider_cio.specs.queries import read_queries
from airflow_provider_cio.specs.reader import read
from airflow_provider_cio.specs.yaml_errors import NotYamlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.specs.queries import SpecQuery

_SUFFIXES = (".yaml", ".yml")
_DEFAULTS = ("defaults.yaml", "defaults.yml")
_KEYS = known_keys(SyncSpec)
_NAME = re.compile(NAME_PATTERN).fullmatch


class SpecFolder:
    """A folder with specs, also in the folders in it, and with the defaults that apply to them.

    Args:
        root: The folder. Defaults above it do not apply.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._defaults: dict[Path, list[Document] | SpecError] = {}

    @cached_property
    def _resolved(self) -> str:
        return os.path.realpath(self.root)

    def paths(self) -> list[Path]:
        """List the files of specs in a stable order."""
        return [Path(path) for path in walk(self.root, _is_spec)]

    def load(self, path: Path) -> SyncSpec:
        """Read a spec.

        Raises:
            SpecError: Lists everything that is wrong with the spec, and with the defaults that it needs.
        """
        return self._load(path)[0]

    def advice(self, path: Path) -> list[SpecProblem]:
        """List what is allowed in a valid spec and is probably a mistake."""
        spec, document, queries, defaults = self._load(path)
        found = [query.locate(problem, document) for query in queries for problem in query_advice(query.text)]
        if key := masked_key(spec):
            holder = next((each for each in (document, *defaults) if key in each.content), document)
            message = (
                f"Airflow displays *** instead of the last sync time, because the {key} contains a word like"
                f" password or token: choose another {key}"
            )
            found.append(holder.problem(holder.value((key,)), message))
        return sorted(set(found))

    def _load(self, path: Path) -> tuple[SyncSpec, Document, list[SpecQuery], list[Document]]:
        document = self._document(path)
        problems = list(document.problems)
        defaults: list[Document] = []
        try:
            defaults = self._defaults_of(path.parent)
        except SpecError as error:
            problems += error.problems
        content = {**ChainMap(*(each.content for each in defaults)), **document.content}
        queries: list[SpecQuery] = []
        problems += read_queries(document, content, self._resolved, queries)
        for query in queries:
            problems += query.problems(document)
        spec = None
        try:
            spec = SyncSpec.model_validate(content)
        except ValidationError as error:
            problems += problems_of(error, [document, *defaults], SyncSpec)
        if spec and spec.failed_rows == "retry":
            problems += (query.locate(found, document) for query in queries for found in query.limits())
        if problems or not spec:
            raise SpecError(sorted_problems(problems))
        return spec, document, queries, defaults

    def load_all(self, paths: Sequence[Path]) -> tuple[dict[Path, SyncSpec], dict[Path, Exception]]:
        """Read many specs.

        If two specs of a workspace have the same name, the one whose file is named like the sync is used,
        else the first. The other one is an error.

        Returns:
            The valid specs, and the errors of the others: a `SpecError`, or an unexpected error.
        """
        specs: dict[Path, SyncSpec] = {}
        errors: dict[Path, Exception] = {}
        for path in paths:
            try:
                specs[path] = self.load(path)
            except Exception as error:  # noqa: BLE001 - one broken spec must not stop the others
                errors[path] = error
        owners: dict[str, Path] = {}
        for path in sorted(specs, key=lambda path: (path.stem != specs[path].name, path)):
            owner = owners.setdefault(specs[path].dag_id, path)
            if owner != path:
                errors[path] = self._duplicate_name(path, owner)
        return {path: spec for path, spec in specs.items() if path not in errors}, errors

    def names(self, path: Path) -> tuple[str, str] | None:
        """Return the workspace and the name of a spec, even of a broken one; None if they cannot be read."""
        name = self._plain_value(path, "name")
        folders = [folder for folder in path.parents if folder.is_relative_to(self.root)]
        files = [path, *(folder / name for folder in folders for name in _DEFAULTS)]
        workspace = next(filter(None, (self._plain_value(file, "workspace") for file in files)), None)
        return (workspace, name) if workspace and name else None

    def text(self, path: Path) -> str:
        """Return the text of a file; empty if it cannot be read, which `load` reports."""
        try:
            return read_text(path, self._resolved)
        except UnreadableError:
            return ""

    def _plain_value(self, path: Path, key: str) -> str | None:
        """Return a name from a file, even from one that is not valid YAML."""
        text = self.text(path)
        try:
            content = read(text, NOTIFIERS).value
        except NotYamlError:
            return _name_in_text(text, key)
        value = content.get(key) if isinstance(content, dict) else None
        return value if isinstance(value, str) and _NAME(value) else None

    def _document(self, path: Path) -> Document:
        return Document(path, self._resolved, _KEYS)

    def _duplicate_name(self, path: Path, owner: Path) -> SpecError:
        document = self._document(path)
        message = f"{owner} in the same workspace has this name too: rename one of the two"
        return SpecError([document.problem(document.value(("name",)), message)])

    def _defaults_of(self, folder: Path) -> list[Document]:
        """Return the defaults that apply in a folder, the nearest first. They are read only once."""
        if folder not in self._defaults:
            try:
                self._defaults[folder] = self._read_defaults(folder)
            except SpecError as error:
                self._defaults[folder] = error
        found = self._defaults[folder]
        if isinstance(found, SpecError):
            raise found
        return found

    def _read_defaults(self, folder: Path) -> list[Document]:
        is_top = folder == self.root or self.root not in folder.parents
        above = [] if is_top else self._defaults_of(folder.parent)
        paths = [path for name in _DEFAULTS if os.path.lexists(path := folder / name)]
        if not paths:
            return above
        if len(paths) > 1:
            message = f"{paths[0].name} is in the same folder: keep one of the two"
            raise SpecError([SpecProblem(paths[1], 1, 1, message)])
        document = self._document(paths[0])
        problems = list(document.problems)
        try:
            Defaults.model_validate(document.content)
        except ValidationError as error:
            problems += problems_of(error, [document], Defaults)
        if problems:
            raise SpecError(sorted_problems(problems))
        return [document, *above]


def _is_spec(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES) and name not in _DEFAULTS


def _name_in_text(text: str, key: str) -> str | None:
    """Return a name at the start of a line that is outside of brackets and quotes, where arguments can be."""
    pattern = rf"^{key}:[ \t]*[\"']?(\w+)[\"']?[ \t]*(?:#.*)?$"
    found = re.search(pattern, text, re.MULTILINE)
    if not found or not _NAME(found.group(1)):
        return None
    before = Counter(text[: found.start()])
    closed = before["["] == before["]"] and before["{"] == before["}"]
    return found.group(1) if closed and not (before['"'] % 2 or before["'"] % 2) else None
