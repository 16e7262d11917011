"""What a query may have in its double braces: the last sync time, and Airflow's Variables."""

from __future__ import annotations

import re
from typing import NamedTuple

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

from airflow_provider_cio.specs.faults import did_you_mean

#: What a query may use: ``{{ last_sync_time }}``, ``{{ var.value.some_key }}``, ``{{ var.json.some_key }}``.
ALLOWED = ("last_sync_time", "var")

#: Most queries have nothing but this, which needs no parser.
_LAST_SYNC_TIME = re.compile(r"\{\{\s*last_sync_time\s*\}\}")
#: What Jinja takes for the end of a line.
LINES = re.compile(r"\r\n|\r|\n").split
_TEMPLATE = re.compile(r"\{[{%#]")
_jinja = Environment(autoescape=False)  # noqa: S701 - it makes SQL, not HTML


class TemplateFault(NamedTuple):
    """One mistake in a query: its place in it, from 1, and a sentence."""

    line: int
    column: int
    length: int
    message: str


def template_faults(query: str) -> list[TemplateFault]:
    """Find what a query must not have between braces."""
    if not _TEMPLATE.search(_LAST_SYNC_TIME.sub("", query)):
        return []
    try:
        tree = _jinja.parse(query)
        unknown = meta.find_undeclared_variables(tree) - set(ALLOWED)
    except TemplateSyntaxError as error:
        return [TemplateFault(error.lineno, 1, 1, f"the template cannot be read: {error.message}")]
    return [
        _fault(query, node, f"{{{{ {node.name} }}}} is not known here: {did_you_mean(node.name, [*ALLOWED])}")
        for node in tree.find_all(nodes.Name)
        if node.ctx == "load" and node.name in unknown
    ]


def _fault(query: str, node: nodes.Name, message: str) -> TemplateFault:
    line = LINES(query)[node.lineno - 1]
    found = re.search(rf"\{{[{{%][^{{}}]*?\b{node.name}\b", line)
    column = found.end() - len(node.name) if found else line.find(node.name)
    return TemplateFault(node.lineno, column + 1, len(node.name), message)
