"""From files to specs: a folder of them, the defaults above each, and every mistake at its place."""

from __future__ import annotations

import os
import re
from collections import ChainMap, Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from airflow_provider_cio.specs.advice import masked_name, query_advice
from airflow_provider_cio.specs.document import NOTIFIERS, Document
from airflow_provider_cio.specs.files import UnreadableError, lies_in, read_text
from airflow_provider_cio.specs.messages import known_keys, problem_of
from airflow_provider_cio.specs.model import Defaults, SyncSpec
from airflow_provider_cio.specs.problems import (
    MAX_PROBLEMS,
    SpecError,
    SpecProblem,
    cut,
    did_you_mean,
    not_listed,
    sorted_problems,
)
from airflow_provider_cio.specs.reader import NotYamlError, read
from airflow_provider_cio.specs.sql import SqlFault, not_one_select
from airflow_provider_cio.specs.templates import LINES, has_branches, sql_of, template_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import BaseModel

    from airflow_provider_cio.specs.templates import TemplateFault

_ENDINGS = (".yaml", ".yml")
_DEFAULTS = ("defaults.yaml", "defaults.yml")
_QUERIES = ("people", "objects", "relationships")
_KEYS = known_keys(SyncSpec)
_NAME = re.compile(r"[a-z0-9_]+").fullmatch
#: To look for a similar name among more would take longer than all else.
_COMPARED_NAMES = 200
#: A query of 3,000 lines. A look at its words takes up to 2 µs for each character.
MAX_QUERY = 150_000


class _Query(NamedTuple):
    """A query's text, and where it is: in the spec, or in a file of its own."""

    part: str
    text: str
    file: Path | None


class SpecFolder:
    """A folder with specs, also in folders in it, and with the defaults that hold for them.

    Args:
        root: The folder; defaults above it do not count.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._defaults: dict[Path, list[Document] | SpecError] = {}

    @cached_property
    def _resolved(self) -> str:
        return os.path.realpath(self.root)

    def paths(self) -> list[Path]:
        """List the files of specs in a stable order; hidden ones are left out.

        A linked folder is read unless what it leads to is read anyway. What cannot be read, such as a link to
        a folder elsewhere, is in the list, so that it is refused by its name.
        """
        found: list[str] = []
        links: list[str] = []
        seen: set[str] = set()
        self._walk(os.fspath(self.root), found, links, seen)
        while links:
            links, more = [], sorted(links)
            for link in more:
                target = os.path.realpath(link)
                if lies_in(target, self._resolved) or target == self._resolved:
                    self._walk(link, found, links, seen)
                else:
                    found.append(link)
        return [Path(path) for path in sorted(found)]

    @staticmethod
    def _walk(folder: str, found: list[str], links: list[str], seen: set[str]) -> None:
        """List the specs below a folder, and the links to other folders."""
        folders = [folder]
        while folders:
            folder = folders.pop()
            real = os.path.realpath(folder)
            if real in seen:
                continue
            seen.add(real)
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                found.append(folder)
                continue
            for entry in listed:
                if entry.name.startswith("."):
                    continue
                is_spec = entry.name.lower().endswith(_ENDINGS) and entry.name not in _DEFAULTS
                if is_spec:
                    found.append(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112 - the entry's raises in a loop
                    links.append(entry.path)

    def load(self, path: Path) -> SyncSpec:
        """Read a spec.

        Raises:
            SpecError: Lists all that is wrong with it, and with the defaults that it needs.
        """
        return self._load(path)[0]

    def advice(self, path: Path) -> list[SpecProblem]:
        """List what is allowed in a spec that can be used, and probably not meant."""
        spec, document, queries, defaults = self._load(path)
        found = [
            _query_fault(document, query, each) for query in queries for each in query_advice(query.text)
        ]
        if key := masked_name(spec):
            said_in = next((each for each in (document, *defaults) if key in each.content), document)
            message = (
                f"Airflow takes {key} for the name of a secret and shows *** in place of the last sync time:"
                " choose another name"
            )
            found.append(said_in.fault(said_in.value((key,)), message))
        return sorted(set(found))

    def _load(self, path: Path) -> tuple[SyncSpec, Document, list[_Query], list[Document]]:
        document = self._document(path)
        faults = list(document.faults)
        defaults: list[Document] = []
        try:
            defaults = self._defaults_of(path.parent)
        except SpecError as error:
            faults += error.faults
        content = {**ChainMap(*(each.content for each in defaults)), **document.content}
        queries: list[_Query] = []
        faults += self._read_queries(document, content, queries)
        for query in queries:
            faults += [_query_fault(document, query, each) for each in _mistakes(query.text)]
        spec = None
        try:
            spec = SyncSpec.model_validate(content)
        except ValidationError as error:
            faults += _faults_of(error, [document, *defaults], SyncSpec)
        if faults or not spec:
            raise SpecError(sorted_problems(faults))
        return spec, document, queries, defaults

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
                errors[path] = self._same_name(path, owner)
        return {path: spec for path, spec in specs.items() if path not in errors}, errors

    def names(self, path: Path) -> tuple[str, str] | None:
        """Read workspace and name of a spec, however broken it is; None when it does not say them plainly."""
        name = self._plain_value(path, "name")
        folders = [folder for folder in path.parents if folder.is_relative_to(self.root)]
        files = [path, *(folder / name for folder in folders for name in _DEFAULTS)]
        workspace = next(filter(None, (self._plain_value(file, "workspace") for file in files)), None)
        return (workspace, name) if workspace and name else None

    def text(self, path: Path) -> str:
        """Give a file's text; one that cannot be read is empty, and is the DAG processor's to report."""
        try:
            return read_text(path, self._resolved)
        except UnreadableError:
            return ""

    def _plain_value(self, path: Path, key: str) -> str | None:
        """Find a name in a file, also in one that is not YAML."""
        text = self.text(path)
        try:
            content = read(text, NOTIFIERS).value
        except NotYamlError:
            return _name_in_text(text, key)
        value = content.get(key) if isinstance(content, dict) else None
        return value if isinstance(value, str) and _NAME(value) else None

    def _document(self, path: Path) -> Document:
        return Document(path, self._resolved, _KEYS)

    def _same_name(self, path: Path, owner: Path) -> SpecError:
        document = self._document(path)
        message = f"is also the name of {owner}, a sync of the same workspace"
        return SpecError([document.fault(document.value(("name",)), message)])

    def _defaults_of(self, folder: Path) -> list[Document]:
        """Give the defaults that hold in a folder, the nearest first; read once, also if they are wrong."""
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
        above = (
            [] if folder == self.root or self.root not in folder.parents else self._defaults_of(folder.parent)
        )
        paths = [path for name in _DEFAULTS if os.path.lexists(path := folder / name)]
        if not paths:
            return above
        if len(paths) > 1:
            message = f"lies beside {paths[0].name}: keep one of the two"
            raise SpecError([SpecProblem(paths[1], 1, 1, message)])
        document = self._document(paths[0])
        faults = list(document.faults)
        try:
            Defaults.model_validate(document.content)
        except ValidationError as error:
            faults += _faults_of(error, [document], Defaults)
        if faults:
            raise SpecError(sorted_problems(faults))
        return [document, *above]

    def _read_queries(
        self, document: Document, content: dict[str, Any], queries: list[_Query]
    ) -> Iterator[SpecProblem]:
        """Collect the queries, and put the text of every `query_file` into the content."""
        for part in _QUERIES:
            if not isinstance(content.get(part), dict):
                continue
            if "query_file" not in content[part]:
                if isinstance(query := content[part].get("query"), str):
                    queries.append(_Query(part, query, None))
            elif "query" in content[part]:
                yield document.fault(
                    document.key((part, "query_file")), "give query or query_file, one of the two"
                )
            elif isinstance(file := content[part]["query_file"], str):
                query = "SELECT"  # where the file cannot be read, nothing else is said of it
                try:
                    query = self._read_query(document, file)
                    queries.append(_Query(part, query, document.path.parent / file))
                except UnreadableError as error:
                    yield document.fault(document.value((part, "query_file")), str(error))
                content[part] = {**content[part], "query": query}

    def _read_query(self, document: Document, file: str) -> str:
        """Read a query's file; others are not shown, since they may hold what a query does not."""
        missing = f"there is no readable file {cut(file)} beside the spec"
        path = document.path.parent / file
        if path.suffix != ".sql":
            raise UnreadableError(f"{missing}: its name has to end in .sql")
        try:
            return read_text(path, self._resolved)
        except UnreadableError as error:
            if os.path.lexists(path) or not self._has(path.parent):
                raise UnreadableError(f"{missing}: {error}") from None
        beside = sorted(other.name for other in path.parent.glob("*.sql"))[:_COMPARED_NAMES]
        hint = f": {did_you_mean(file, beside)}" if beside else ", nor any other .sql file"
        raise UnreadableError(missing + hint)

    def _has(self, folder: Path) -> bool:
        """Tell whether a folder is this one, or lies in it: names of other files are not shown."""
        target = os.path.realpath(folder)
        return target == self._resolved or lies_in(target, self._resolved)


def _name_in_text(text: str, key: str) -> str | None:
    """Find a name at the begin of a line, unless in brackets or quotes, where arguments are."""
    pattern = rf"^{key}:[ \t]*[\"']?([a-z0-9_]+)[\"']?[ \t]*(?:#.*)?$"
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        return None
    before = Counter(text[: found.start()])
    closed = before["["] == before["]"] and before["{"] == before["}"]
    return found.group(1) if closed and not (before['"'] % 2 or before["'"] % 2) else None


def _faults_of(
    error: ValidationError, documents: Sequence[Document], model: type[BaseModel]
) -> list[SpecProblem]:
    """Turn what pydantic finds into faults: of very many the first, since the others are only counted."""
    errors = error.errors(include_url=False)
    found = [problem_of(each, documents, model) for each in errors[:MAX_PROBLEMS]]
    if more := len(errors) - len(found):
        found.append(not_listed(documents[0].path, more))
    return found


def _mistakes(query: str) -> list[TemplateFault] | list[SqlFault]:
    """Find what is wrong with a query: with its templates, else with its SQL."""
    if len(query) > MAX_QUERY:
        return [SqlFault(1, 1, 1, f"has more than {MAX_QUERY:,} characters: create a view for a part of it")]
    if faults := template_faults(query):
        return faults
    sql = sql_of(query)
    fault = not_one_select(sql, branches=has_branches(query)) if sql is not None else None
    return [fault] if fault else []


def _query_fault(document: Document, query: _Query, found: TemplateFault | SqlFault) -> SpecProblem:
    """Name a place in a query by the file that holds it."""
    if query.file:
        line = LINES(query.text)[found.line - 1]
        return SpecProblem(query.file, found.line, found.column, found.message, line, found.length)
    place = document.within((query.part, "query"), found.line, found.column, found.length)
    return document.fault(place, found.message)
