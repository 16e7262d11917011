"""The templates of a query. It can use the last sync time, Airflow's Variables, and a few statements."""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import TYPE_CHECKING

from jinja2 import Environment, TemplateSyntaxError, meta, nodes, pass_context

from airflow_provider_cio.specs.problems import MAX_PROBLEMS, QueryProblem, cut, did_you_mean, printable
from airflow_provider_cio.specs.sql import quoted_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2.runtime import Context

#: The names that a query can use: ``{{ last_sync_time }}``, ``{{ var.value.key }}``, ``{{ var.json.key }}``.
ALLOWED = ("last_sync_time", "var")
_STORES = ("value", "json")

#: The only template of most queries, which then need no parser.
_LAST_SYNC_TIME = re.compile(r"\{\{\s*last_sync_time\s*\}\}")
#: Splits at the ends of lines, as Jinja does.
LINES = re.compile(r"\r\n|\r|\n").split
#: Finds the text between braces. It is possessive, so that braces that are never closed are read once.
_TEMPLATES = re.compile(r"\{[{%#](?:(?![}%#]\}).)*+", re.DOTALL).findall
#: The most characters between braces. Jinja takes 6 µs for each, and a query has fewer than 200.
_MAX_TEMPLATES = 5_000
_BLANK = re.compile(r"[^\r\n]").sub
_TEMPLATE = re.compile(r"\{[{%#]")
#: Finds texts in quotes on one line.
_QUOTED = re.compile(r"'[^'\n]*+'|\"[^\"\n]*+\"").finditer
#: A longer text is not quoted in a message.
_RAW_CHARACTERS = 200
_RAW_AROUND = "If the braces are SQL, put {% raw %} before them and {% endraw %} after them"


@pass_context
def _not_in_advance(_: Context, value: object) -> object:
    """Return the value. Because of the context, Jinja does not compute constant expressions in advance."""
    return value


_jinja = Environment(autoescape=False, finalize=_not_in_advance)  # noqa: S701 - the result is SQL, not HTML

#: Finds the name of a statement.
_STATEMENT = re.compile(r"\{%[-+]?\s*(\w+)")
#: The nodes that read a part of a value, as `b` in ``a.b`` and ``a['b']``.
_PARENTS = (nodes.Getattr, nodes.Getitem)
#: The statements that a query can have. A loop can only go over a Variable, so that its length is limited.
_STATEMENTS = (nodes.Output, nodes.If, nodes.Assign, nodes.For)


def template_problems(query: str) -> list[QueryProblem]:
    """Return what is wrong with the templates of a query."""
    own = _LAST_SYNC_TIME.sub("", query)
    if not _TEMPLATE.search(own):
        return []
    if sum(map(len, _TEMPLATES(own))) > _MAX_TEMPLATES:
        message = f"has more than {_MAX_TEMPLATES:,} characters between braces: use fewer templates"
        return [QueryProblem(1, 1, 1, message)]
    lines = LINES(query)
    try:
        tree = _jinja.parse(query)
        unknown = undeclared_names(tree, _jinja) - set(ALLOWED)
        found = chain(
            _names(tree, unknown, lines), _not_allowed(tree, lines), _comments_in_texts(query, lines)
        )
        return sorted(set(islice(found, MAX_PROBLEMS)))
    except TemplateSyntaxError as error:
        message = f"the template cannot be read: {cut(error.message or 'it has a mistake')}"
        return [_with_raw(QueryProblem(error.lineno, 1, 1, message), lines, always=True)]
    except RecursionError:
        return [QueryProblem(1, 1, 1, "the template is nested too deeply: simplify it")]
    except ValueError:  # a number of thousands of digits
        return [QueryProblem(1, 1, 1, "the template cannot be read: it has a number that is too long")]


def sql_of(query: str) -> str | None:
    """Replace the templates of a query by harmless SQL of the same length.

    Returns:
        The SQL, or None if the query begins with a template, so that its SQL is unknown until it is rendered.
    """
    query = _LAST_SYNC_TIME.sub(lambda found: "0" * len(found.group()), query)
    if not _TEMPLATE.search(query):
        return query
    parts: list[str] = []
    begun = inside = False
    for kind, text in _pieces(query):
        if kind == "variable_begin" and not begun:
            return None
        inside = inside or kind == "variable_begin"
        if kind == "data":
            begun = begun or not text.isspace()
            parts.append(text)
        else:
            parts.append(_BLANK(" 0"[inside], text))
        inside = inside and kind != "variable_end"
    return "".join(parts)


def _pieces(query: str) -> Iterator[tuple[str, str]]:
    """Split a query into text and templates, as Jinja does. The parts together are the whole query.

    Jinja itself leaves out the spaces that a ``{%-`` removes. Every end of a line becomes that of Unix.
    """
    query = "\n".join(LINES(query))
    position = 0
    for _, kind, text in _jinja.lex(query):
        start = query.index(text, position)
        if start > position:
            yield "data", query[position:start]
        yield kind, text
        position = start + len(text)
    yield "data", query[position:]


def has_branches(query: str) -> bool:
    """Return whether a query has statements, so that the rendered query may have only parts of its text."""
    return any(word not in ("raw", "endraw") for word in _STATEMENT.findall(query))


def uses_last_sync_time(query: str) -> bool:
    """Return whether a query with valid templates depends on the last sync time."""
    if not _TEMPLATE.search(query):
        return False
    return "last_sync_time" in undeclared_names(_jinja.parse(query), _jinja)


def undeclared_names(tree: nodes.Template, environment: Environment) -> set[str]:
    """Return the names that a template, which this environment parsed, uses and does not set.

    This is Jinja's `find_undeclared_variables` without its optimizer, which would compute constants such as
    ``10**10**10``.
    """
    generator = meta.TrackingCodeGenerator(environment)
    generator.optimizer = None
    generator.visit(tree)
    return generator.undeclared_identifiers


def _names(tree: nodes.Template, unknown: set[str], lines: list[str]) -> Iterator[QueryProblem]:
    """Yield unknown names, and unknown attributes of known names."""
    for parent in _parents(tree):
        name = _attribute(parent)
        if name.startswith("_"):
            yield _problem(
                lines, parent.lineno, name, f"{cut(name)} cannot be used, because it begins with _"
            )
        match parent.node:
            case nodes.Name(name="last_sync_time"):
                message = f"last_sync_time is a number without the attribute {cut(name)}"
                yield _problem(lines, parent.lineno, name, message)
            case nodes.Name(name="var") if name not in _STORES:
                message = f"var has no attribute {cut(name)}: {did_you_mean(name, _STORES)}"
                yield _problem(lines, parent.lineno, name, message)
    used = {id(each.node.node) for each in _parents(tree) if isinstance(each.node, _PARENTS)}
    for used_name in tree.find_all(nodes.Name):
        word = used_name.name
        if used_name.ctx != "load":
            continue
        if word in unknown:
            message = f"{{{{ {cut(word)} }}}} is an unknown name: {did_you_mean(word, ALLOWED)}"
            yield _with_raw(_problem(lines, used_name.lineno, word, message), lines)
        elif word == "var" and id(used_name) not in used:
            message = "var needs the key of a Variable, as in {{ var.value.some_key }}"
            yield _problem(lines, used_name.lineno, word, message)


def _parents(tree: nodes.Template) -> Iterator[nodes.Getattr | nodes.Getitem]:
    """Yield the nodes that read a part of a value."""
    yield from tree.find_all(nodes.Getattr)
    yield from tree.find_all(nodes.Getitem)


def _attribute(node: nodes.Getattr | nodes.Getitem) -> str:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else ""


def _not_allowed(tree: nodes.Template, lines: list[str]) -> Iterator[QueryProblem]:
    """Yield statements that a query cannot have, unbounded results, and braces that are probably SQL."""
    for operation in tree.find_all((nodes.Pow, nodes.Mul)):
        if isinstance(operation, nodes.Mul) and not _repeats_text(operation):
            continue
        sign = "**" if isinstance(operation, nodes.Pow) else "*"
        message = (
            f"{sign} is not allowed here, because its result can have any length: write the value itself"
        )
        yield _problem(lines, operation.lineno, sign, message)
    for node in tree.find_all(nodes.Stmt):
        if not isinstance(node, _STATEMENTS):
            found = _STATEMENT.search(lines[node.lineno - 1])
            word = found.group(1) if found else type(node).__name__.lower()
            message = f"{{% {cut(word)} %}} is not allowed: use only if, set, raw, and for over a Variable"
            yield _with_raw(_problem(lines, node.lineno, word, message), lines)
        elif isinstance(node, nodes.For):
            if not _is_variable(node.iter) or any(node.find_all(nodes.For)) or node.recursive:
                message = (
                    "a loop can only go over a Variable, such as {% for plan in var.json.plans %}, and cannot"
                    " be inside another loop"
                )
                yield _problem(lines, node.lineno, "for", message)
        elif isinstance(node, nodes.Output):
            yield from _constants(node, lines)


def _repeats_text(product: nodes.BinExpr) -> bool:
    """Return whether a multiplication repeats a text or a list."""
    return any(
        isinstance(part, nodes.List | nodes.Tuple)
        or (isinstance(part, nodes.Const) and isinstance(part.value, str))
        for part in (product.left, product.right)
    )


def _constants(node: nodes.Output, lines: list[str]) -> Iterator[QueryProblem]:
    for part in node.nodes:
        if not isinstance(part, nodes.TemplateData) and not _has_name(part):
            message = "these braces have no variable, so they are probably SQL"
            yield _with_raw(_problem(lines, part.lineno, "", message), lines, always=True)


def _has_name(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) or any(node.find_all(nodes.Name))


def _is_variable(node: nodes.Node) -> bool:
    """Return whether an expression is a Variable, possibly with filters."""
    while isinstance(node, nodes.Filter | nodes.Getattr | nodes.Getitem | nodes.Call):
        if node.node is None:
            return False
        node = node.node
    return isinstance(node, nodes.Name) and node.name == "var"


def _comments_in_texts(query: str, lines: list[str]) -> Iterator[QueryProblem]:
    """Yield texts in quotes with ``{# … #}``, which Jinja would remove from them."""
    if "{#" not in query:
        return
    marked = "".join(
        _BLANK("\0" if kind.startswith("comment") else "0", text) if kind != "data" else text
        for kind, text in _pieces(query)
    )
    for start, text in quoted_texts(marked):
        if "\0" in text:
            before = LINES(marked[:start])
            column = len(before[-1])
            message = "Jinja reads {# as the start of a comment and would remove it"
            quoted = lines[len(before) - 1][column : column + len(text)]
            if "\n" in text or len(text) > _RAW_CHARACTERS:
                fix = f"{message}. {_RAW_AROUND}"
            else:
                fix = f"{message}. If the braces are SQL, write {_raw(quoted)}"
            yield QueryProblem(len(before), column + 1, len(quoted), fix)


def _with_raw(problem: QueryProblem, lines: list[str], *, always: bool = False) -> QueryProblem:
    """Add how to write braces that are SQL.

    Args:
        problem: The problem.
        lines: The lines of the query. A text in quotes with braces on the line of the problem is quoted.
        always: Whether to add general advice if the line has no such text.
    """
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    quoted = next(_quoted_braces(line), None)
    if quoted and len(quoted.group()) <= _RAW_CHARACTERS:
        return problem._replace(
            column=problem.column if problem.column > 1 else quoted.start() + 1,
            message=f"{problem.message}. If the braces are SQL, write {_raw(quoted.group())}",
        )
    if always:
        return problem._replace(message=f"{problem.message}. {_RAW_AROUND}")
    return problem


def _quoted_braces(line: str) -> Iterator[re.Match[str]]:
    """Yield texts in quotes with braces that Jinja reads and that are probably SQL."""
    return (
        quoted
        for quoted in _QUOTED(line)
        if _TEMPLATE.search(quoted.group()) and "last_sync_time" not in quoted.group()
    )


def _raw(quoted: str) -> str:
    return f"{{% raw %}}{printable(quoted)}{{% endraw %}}"


def _problem(lines: list[str], number: int, word: str, message: str) -> QueryProblem:
    line = lines[number - 1]
    found = re.search(rf"\{{[{{%][^{{}}]*?\b{re.escape(word)}\b", line) if word else None
    column = found.end() - len(word) if found else max(line.find(word) if word else line.find("{{"), 0)
    return QueryProblem(number, column + 1, max(len(word), 1), message)
