"""What a query may have between braces: the last sync time, Airflow's Variables, and few statements."""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, TemplateSyntaxError, meta, nodes, pass_context

from airflow_provider_cio.specs.problems import MAX_PROBLEMS, cut, did_you_mean, printable
from airflow_provider_cio.specs.sql import quoted_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2.runtime import Context

#: What a query may use: ``{{ last_sync_time }}``, ``{{ var.value.some_key }}``, ``{{ var.json.some_key }}``.
ALLOWED = ("last_sync_time", "var")
_STORES = ("value", "json")

#: Most queries have nothing but this, which needs no parser.
_LAST_SYNC_TIME = re.compile(r"\{\{\s*last_sync_time\s*\}\}")
#: What Jinja takes for the end of a line.
LINES = re.compile(r"\r\n|\r|\n").split
#: What stands between braces; possessive, so that braces that are never closed are looked at once.
_TEMPLATES = re.compile(r"\{[{%#](?:(?![}%#]\}).)*+", re.DOTALL).findall
#: Jinja takes 6 µs for each character of an expression, and a query has fewer than 200.
_MAX_TEMPLATES = 5_000
_BLANK = re.compile(r"[^\r\n]").sub
_TEMPLATE = re.compile(r"\{[{%#]")
#: A text in quotes, as far as one line goes.
_QUOTED = re.compile(r"'[^'\n]*+'|\"[^\"\n]*+\"").finditer
#: A longer text is not repeated in a message.
_RAW_CHARACTERS = 200
_RAW_AROUND = "If the braces are SQL, put {% raw %} before and {% endraw %} behind them"


@pass_context
def _at_run_time(_: Context, value: object) -> object:
    """Make what an expression gives depend on the run, so that Jinja does not compute it in advance."""
    return value


_jinja = Environment(autoescape=False, finalize=_at_run_time)  # noqa: S701 - it makes SQL, not HTML

#: Tags of other statements, to name them.
_STATEMENT = re.compile(r"\{%[-+]?\s*(\w+)")
#: What a query needs. A loop may only go over a Variable, so that its length is known to people.
_PARENTS = (nodes.Getattr, nodes.Getitem)
_STATEMENTS = (nodes.Output, nodes.If, nodes.Assign, nodes.For)


class TemplateFault(NamedTuple):
    """One mistake in a query: its place in it, from 1, and a sentence."""

    line: int
    column: int
    length: int
    message: str


def template_faults(query: str) -> list[TemplateFault]:
    """Find what a query must not have between braces."""
    own = _LAST_SYNC_TIME.sub("", query)
    if not _TEMPLATE.search(own):
        return []
    if sum(map(len, _TEMPLATES(own))) > _MAX_TEMPLATES:
        message = f"has more than {_MAX_TEMPLATES:,} characters between braces: use fewer templates"
        return [TemplateFault(1, 1, 1, message)]
    lines = LINES(query)
    try:
        tree = _jinja.parse(query)
        unknown = _undeclared(tree) - set(ALLOWED)
        found = chain(
            _names(tree, unknown, lines), _not_allowed(tree, lines), _comments_in_texts(query, lines)
        )
        return sorted(set(islice(found, MAX_PROBLEMS)))
    except TemplateSyntaxError as error:
        message = f"the template cannot be read: {cut(error.message or 'it has a mistake')}"
        return [_with_raw(TemplateFault(error.lineno, 1, 1, message), lines)]
    except RecursionError:
        return [TemplateFault(1, 1, 1, "the template is nested too deeply: simplify it")]
    except ValueError:  # a number of thousands of digits
        return [TemplateFault(1, 1, 1, "the template cannot be read: it has a number that is too long")]


def sql_of(query: str) -> str | None:
    """Give a query's SQL with something harmless of the same length in place of what stands between braces.

    Returns:
        None when the SQL is not known before it is rendered, because it begins between braces.
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
    """Cut a query into what Jinja takes for text and templates; all parts together are the query.

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
    """Tell whether a query has statements, so that not all of its text may be in what is rendered."""
    return any(word not in ("raw", "endraw") for word in _STATEMENT.findall(query))


def uses_last_sync_time(query: str) -> bool:
    """Tell whether a query, whose templates have no mistakes, depends on the last sync time."""
    if not _TEMPLATE.search(query):
        return False
    return "last_sync_time" in _undeclared(_jinja.parse(query))


def _undeclared(tree: nodes.Template) -> set[str]:
    """Name what a query uses and does not set.

    This is Jinja's `find_undeclared_variables` without its optimizer, which would compute what is constant,
    such as ``10**10**10``.
    """
    generator = meta.TrackingCodeGenerator(_jinja)
    generator.optimizer = None
    generator.visit(tree)
    return generator.undeclared_identifiers


def _names(tree: nodes.Template, unknown: set[str], lines: list[str]) -> Iterator[TemplateFault]:
    """Find names that are not known, and what does not belong to those that are."""
    for parent in _parents(tree):
        name = _attribute(parent)
        if name.startswith("_"):
            yield _fault(lines, parent.lineno, name, f"{cut(name)} cannot be used: it begins with _")
        match parent.node:
            case nodes.Name(name="last_sync_time"):
                message = f"last_sync_time is a number and has nothing called {cut(name)}"
                yield _fault(lines, parent.lineno, name, message)
            case nodes.Name(name="var") if name not in _STORES:
                message = f"var has value and json, not {cut(name)}: {did_you_mean(name, _STORES)}"
                yield _fault(lines, parent.lineno, name, message)
    used = {id(each.node.node) for each in _parents(tree) if isinstance(each.node, _PARENTS)}
    for used_name in tree.find_all(nodes.Name):
        word = used_name.name
        if used_name.ctx != "load":
            continue
        if word in unknown:
            message = f"{{{{ {cut(word)} }}}} is not known here: {did_you_mean(word, ALLOWED)}"
            yield _with_raw(_fault(lines, used_name.lineno, word, message), lines)
        elif word == "var" and id(used_name) not in used:
            message = "var needs the key of a Variable, as in {{ var.value.some_key }}"
            yield _fault(lines, used_name.lineno, word, message)


def _parents(tree: nodes.Template) -> Iterator[nodes.Getattr | nodes.Getitem]:
    """List what is read of something, as `b` in ``a.b`` and ``a['b']``."""
    yield from tree.find_all(nodes.Getattr)
    yield from tree.find_all(nodes.Getitem)


def _attribute(node: nodes.Getattr | nodes.Getitem) -> str:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else ""


def _not_allowed(tree: nodes.Template, lines: list[str]) -> Iterator[TemplateFault]:
    """Find statements that a query cannot have, unbounded results, and braces that were meant as SQL."""
    for operation in tree.find_all((nodes.Pow, nodes.Mul)):
        if isinstance(operation, nodes.Mul) and not _repeats_text(operation):
            continue
        sign = "**" if isinstance(operation, nodes.Pow) else "*"
        message = f"{sign} is not allowed here, since its result may have any length: write the value itself"
        yield _fault(lines, operation.lineno, sign, message)
    for node in tree.find_all(nodes.Stmt):
        if not isinstance(node, _STATEMENTS):
            found = _STATEMENT.search(lines[node.lineno - 1])
            word = found.group(1) if found else type(node).__name__.lower()
            message = (
                f"{{% {cut(word)} %}} is not allowed: a query may have if, set, raw, and for over a Variable"
            )
            yield _with_raw(_fault(lines, node.lineno, word, message), lines)
        elif isinstance(node, nodes.For):
            if not _is_variable(node.iter) or any(node.find_all(nodes.For)) or node.recursive:
                message = (
                    "a loop may only go over a Variable, such as {% for plan in var.json.plans %}, and not"
                    " stand in another"
                )
                yield _fault(lines, node.lineno, "for", message)
        elif isinstance(node, nodes.Output):
            yield from _constants(node, lines)


def _repeats_text(product: nodes.BinExpr) -> bool:
    """Tell whether a multiplication repeats a text or a list."""
    return any(
        isinstance(part, nodes.List | nodes.Tuple)
        or (isinstance(part, nodes.Const) and isinstance(part.value, str))
        for part in (product.left, product.right)
    )


def _constants(node: nodes.Output, lines: list[str]) -> Iterator[TemplateFault]:
    for part in node.nodes:
        if not isinstance(part, nodes.TemplateData) and not _has_name(part):
            message = "between these braces is nothing that changes, so that they seem to be SQL"
            yield _with_raw(_fault(lines, part.lineno, "", message), lines, always=True)


def _has_name(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) or any(node.find_all(nodes.Name))


def _is_variable(node: nodes.Node) -> bool:
    """Tell whether an expression is a Variable, or what filters make of one."""
    while isinstance(node, nodes.Filter | nodes.Getattr | nodes.Getitem | nodes.Call):
        if node.node is None:
            return False
        node = node.node
    return isinstance(node, nodes.Name) and node.name == "var"


def _comments_in_texts(query: str, lines: list[str]) -> Iterator[TemplateFault]:
    """Find ``'{# … #}'``, which Jinja would take out of a text."""
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
            message = "Jinja takes {# for the begin of a comment and would remove it"
            quoted = lines[len(before) - 1][column : column + len(text)]
            if "\n" in text or len(text) > _RAW_CHARACTERS:
                fix = f"{message}. {_RAW_AROUND}"
            else:
                fix = f"{message}. If the braces are SQL, write {_raw(quoted)}"
            yield TemplateFault(len(before), column + 1, len(quoted), fix)


def _with_raw(fault: TemplateFault, lines: list[str], *, always: bool = False) -> TemplateFault:
    """Say how to write braces that are SQL, where a text in quotes on the line has some."""
    line = lines[fault.line - 1] if fault.line <= len(lines) else ""
    quoted = next(_quoted_braces(line), None)
    if quoted and len(quoted.group()) <= _RAW_CHARACTERS:
        return fault._replace(
            column=fault.column if fault.column > 1 else quoted.start() + 1,
            message=f"{fault.message}. If the braces are SQL, write {_raw(quoted.group())}",
        )
    if always or "the template cannot be read" in fault.message:
        return fault._replace(message=f"{fault.message}. {_RAW_AROUND}")
    return fault


def _quoted_braces(line: str) -> Iterator[re.Match[str]]:
    """Find texts in quotes that have braces which Jinja reads, and that are not meant for it."""
    return (
        quoted
        for quoted in _QUOTED(line)
        if _TEMPLATE.search(quoted.group()) and "last_sync_time" not in quoted.group()
    )


def _raw(quoted: str) -> str:
    return f"{{% raw %}}{printable(quoted)}{{% endraw %}}"


def _fault(lines: list[str], number: int, word: str, message: str) -> TemplateFault:
    line = lines[number - 1]
    found = re.search(rf"\{{[{{%][^{{}}]*?\b{re.escape(word)}\b", line) if word else None
    column = found.end() - len(word) if found else max(line.find(word) if word else line.find("{{"), 0)
    return TemplateFault(number, column + 1, max(len(word), 1), message)
