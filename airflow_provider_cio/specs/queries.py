"""The queries of a spec: their text, which can be in a file of its own, and what is wrong with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_cio.specs.files import UnreadableError, is_inside, read_text
from airflow_provider_cio.specs.problems import QueryProblem, SpecProblem, cut, did_you_mean
from airflow_provider_cio.specs.sql import limit_of, not_one_select
from airflow_provider_cio.specs.templates import LINES, has_branches, sql_of, template_problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_cio.specs.document import Document

#: The parts of a spec that have a query.
_PARTS = ("people", "objects", "relationships")
#: More names are not compared: looking for a similar one would take longer than everything else.
_COMPARED_NAMES = 200
#: The longest query, of about 3,000 lines. Checking it takes up to 2 µs for each character.
MAX_QUERY = 150_000


class SpecQuery(NamedTuple):
    """The query of one part of a spec.

    Args:
        part: The part, such as ``people``.
        text: The text of the query.
        file: The file that holds the text; None where the spec holds it.
    """

    part: str
    text: str
    file: Path | None

    def problems(self, document: Document) -> Iterator[SpecProblem]:
        """Yield everything that is wrong with the text.

        Args:
            document: The spec.
        """
        for problem in _query_problems(self.text):
            yield self.locate(problem, document)

    def limits(self) -> Iterator[QueryProblem]:
        """Yield what limits the rows of the query, which failed_rows: retry does not allow."""
        sql = sql_of(self.text)
        if sql and (found := limit_of(sql)):
            message = (
                f"{found.message} cannot be used with failed_rows: retry, because failed rows can be beyond"
                f" it. Remove {found.message}, or use failed_rows: hold"
            )
            yield found._replace(message=message)

    def locate(self, problem: QueryProblem, document: Document) -> SpecProblem:
        """Turn a problem in the text into a problem of the file that holds the text."""
        if self.file:
            line = LINES(self.text)[problem.line - 1]
            return SpecProblem(self.file, problem.line, problem.column, problem.message, line, problem.length)
        position = document.position_in_text(
            (self.part, "query"), problem.line, problem.column, problem.length
        )
        return document.problem(position, problem.message)


def read_queries(
    document: Document, content: dict[str, Any], root: str, queries: list[SpecQuery]
) -> Iterator[SpecProblem]:
    """Read the queries of a spec, and yield what is wrong with their keys and files.

    Args:
        document: The spec.
        content: The content of the spec with its defaults. The text of each `query_file` is added to it.
        root: The folder in which all files must be, without links in its path.
        queries: Receives the queries that could be read.
    """
    for part in _PARTS:
        if not isinstance(content.get(part), dict):
            continue
        if "query_file" not in content[part]:
            if isinstance(query := content[part].get("query"), str):
                queries.append(SpecQuery(part, query, None))
        elif "query" in content[part]:
            yield document.problem(document.key((part, "query_file")), "give either query or query_file")
        elif isinstance(file := content[part]["query_file"], str):
            query = "SELECT"  # it passes the other checks, so that only the unreadable file is reported
            try:
                query = _read_file(document, file, root)
                queries.append(SpecQuery(part, query, document.path.parent / file))
            except UnreadableError as error:
                yield document.problem(document.value((part, "query_file")), str(error))
            content[part] = {**content[part], "query": query}


def _read_file(document: Document, file: str, root: str) -> str:
    """Read the file of a query. Only .sql files are read, because other files can hold secrets."""
    missing = f"there is no readable file {cut(file)} in the folder of the spec"
    path = document.path.parent / file
    if path.suffix != ".sql":
        raise UnreadableError(f"{missing}: its name must end in .sql")
    try:
        return read_text(path, root)
    except UnreadableError as error:
        # The names of other files are listed only inside the folder of the specs.
        folder = os.path.realpath(path.parent)
        if os.path.lexists(path) or not (folder == root or is_inside(folder, root)):
            raise UnreadableError(f"{missing}: {error}") from None
    others = sorted(other.name for other in path.parent.glob("*.sql"))[:_COMPARED_NAMES]
    advice = f": {did_you_mean(file, others)}" if others else ", and no other .sql file"
    raise UnreadableError(missing + advice)


def _query_problems(query: str) -> list[QueryProblem]:
    """Return what is wrong with the templates of a query, or else with its SQL."""
    if len(query) > MAX_QUERY:
        message = f"has more than {MAX_QUERY:,} characters: create a view for a part of it"
        return [QueryProblem(1, 1, 1, message)]
    if problems := template_problems(query):
        return problems
    sql = sql_of(query)
    problem = not_one_select(sql, branches=has_branches(query)) if sql is not None else None
    return [problem] if problem else []
