"""The templates that a query can have."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest

from airflow_provider_cio.specs.sql import not_one_select
from airflow_provider_cio.specs.templates import sql_of, template_problems, uses_last_sync_time


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "SELECT {{last_sync_time}}",
        "SELECT {{ last_sync_time * 1000 }}, {{ 24 * 3600 * (var.value.days | int) }}",
        "SELECT {{ last_sync_time }} AS a, {{ last_sync_time - 60 }} AS b",
        "SELECT '{{ var.value.get('plan', 'free') }}', {{ var.json.limits.rows | int }}",
        "{% if last_sync_time %}SELECT 1{% else %}SELECT 2{% endif %}",
        "{% set since = last_sync_time %}SELECT {{ since }}",
        "SELECT '{{ last_sync_time }}'",
        "SELECT {{ var.value['plan'] }}, {{ var.json.get('limits').rows }}",
        "SELECT 1 {% for plan in var.json.plans | sort %}, '{{ plan }}' AS p{{ loop.index }}{% endfor %}",
        "SELECT '{% raw %}{{1,2},{3,4}}{% endraw %}'::int[], {# a note #} 1",
        "SELECT ROW('{a}'), '{1,2}'::int[], '%'",
        "SELECT 100 % 7, data #>> '{a,b}', '$.a[*] ? (@.b > {1})', email LIKE '%{', '}}', '%}', '#}' FROM t",
        "{% raw %}\nSELECT '{# a #}',\n  '{{1,2}}'::int[], '{%'\n{% endraw %}",
        "SELECT {%- raw -%} '{# a' {%- endraw -%}",
        "{# it's a note #}SELECT 'a' -- don't {# another #} isn't",
        "SELECT 1 -- don't {# a note #} isn't\n",
    ],
)
def test_the_last_sync_time_and_variables_may_be_used(query: str) -> None:
    """Jinja's filters, operators and statements work with them."""
    assert template_problems(query) == []


@pytest.mark.parametrize(
    ("query", "position", "message"),
    [
        ("SELECT\n  {{ last_sync }}", (2, 6, 9), "did you mean last_sync_time?"),
        ("SELECT '{{ ds }}'", (1, 12, 2), "allowed are last_sync_time, var"),
        ("SELECT {{ conn.warehouse.password }}", (1, 11, 4), "{{ conn }} is an unknown name"),
        ("SELECT\n1 {{ last_sync_time", (2, 1, 1), "the template cannot be read: "),
        ("SELECT {{ last_sync_time | datum }}", (1, 1, 1), "No filter named 'datum'"),
    ],
)
def test_other_templates_are_mistakes_with_a_position(
    query: str, position: tuple[int, int, int], message: str
) -> None:
    """Airflow would display the password of a connection, and render a typo as an empty text."""
    (problem,) = template_problems(query)
    assert (problem.line, problem.column, problem.length) == position
    assert message in problem.message


@pytest.mark.parametrize(
    "query",
    [
        "SELECT {{ 10**10**10 }}",
        "SELECT {{ last_sync_time * 10**10**10 }}",
        "SELECT {{ last_sync_time | int(10**10**10) }}",
        "SELECT {{ var.value.get('a', 'b' * 10**12) }}",
        "SELECT {% if 10**10**10 %}{{ last_sync_time }}{% endif %}",
        "{% set a = 'b' * 10**12 %}SELECT {{ a }}",
        "{% for a in 'b' * 10**12 %}{{ a }}{% endfor %}",
        "SELECT {{ (1).__class__.mro() }} {{ '%0999999999d' % 1 }}",
    ],
)
def test_expressions_are_not_computed(query: str) -> None:
    """Computing one of them in the DAG processor would take hours, or all memory."""
    template_problems(query)
    uses_last_sync_time(query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{% include 'shared/cte.sql' %}", "{% include %} is not allowed: use only if, set, raw"),
        ("{% import 'a' as a %}SELECT 1", "{% import %} is not allowed"),
        ("{% from 'a' import b %}SELECT 1", "{% from %} is not allowed"),
        ("{% extends 'a' %}", "{% extends %} is not allowed"),
        ("{% block a %}{% endblock %}", "{% block %} is not allowed"),
        ("{% macro a() %}{% endmacro %}SELECT 1", "{% macro %} is not allowed"),
        ("{% filter upper %}SELECT 1{% endfilter %}", "{% filter %} is not allowed"),
        ("{% with a = 1 %}SELECT 1{% endwith %}", "{% with %} is not allowed"),
        ("{% do last_sync_time %}", "Encountered unknown tag 'do'"),
        ("SELECT {{ last_sync_time is odds }}", "No test named 'odds'"),
        ("{% for n in range(10**9) %}{{ n }}{% endfor %}", "a loop can only go over a Variable"),
        ("{% for n in 'ab' * 10**9 %}{{ n }}{% endfor %}", "a loop can only go over a Variable"),
        (
            "{% for a in var.json.a %}{% for b in var.json.b %}{{ b }}{% endfor %}{% endfor %}",
            "a loop can only go over a Variable",
        ),
        ("SELECT {{ last_sync_time * 10**10 }}", "** is not allowed here"),
        ("{% set a = 10 ** 10 ** 10 %}SELECT {{ last_sync_time }}", "** is not allowed here"),
        ("SELECT {{ var.value.get('a', 'b' * 10000000000) }}", "* is not allowed here"),
        ("SELECT {{ ([0] * last_sync_time) | length }}", "* is not allowed here"),
        ("SELECT {{ last_sync_time.foo.bar }}", "last_sync_time is a number without the attribute foo"),
        ("SELECT {{ last_sync_time.__class__ }}", "__class__ cannot be used, because it begins with _"),
        ("SELECT {{ var.value.get.__globals__ }}", "__globals__ cannot be used"),
        ("SELECT {{ var }}", "var needs the key of a Variable"),
        ("SELECT {{ var.value }}", "var needs the key of a Variable"),
        ("SELECT {{ var.valeu.key }}", "var has no attribute valeu: did you mean value?"),
        ("SELECT {{ last_sync_time }", "the template cannot be read"),
        ("SELECT {{ last_sync_time }} {% if %}", "the template cannot be read"),
        ("SELECT {% if last_sync_time %}1", "the template cannot be read"),
    ],
)
def test_what_a_query_does_not_need_is_refused(query: str, message: str) -> None:
    """These queries would fail during a run, read other files, or never end."""
    assert message in " ".join(problem.message for problem in template_problems(query))


@pytest.mark.parametrize(
    ("sql", "fix"),
    [
        ("note LIKE '{%'", "{% raw %}'{%'{% endraw %}"),
        ("tags && '{{1,2},{3,4}}'::int[]", "{% raw %}'{{1,2},{3,4}}'{% endraw %}"),
        ("tags && '{{1,2}}'::int[]", "{% raw %}'{{1,2}}'{% endraw %}"),
        ("tags && '{{a,b}}'::text[]", "{% raw %}'{{a,b}}'{% endraw %}"),
        ("note = '{#'", "{% raw %}'{#'{% endraw %}"),
        ("note = '{# a #}'", "{% raw %}'{# a #}'{% endraw %}"),
        ("note = $${# a #}$$", "{% raw %}$${# a #}$${% endraw %}"),
        ('"{%" = 1', '{% raw %}"{%"{% endraw %}'),
        ('data @> \'{"a": {"b": {{}}}}\'', '{% raw %}\'{"a": {"b": {{}}}}\'{% endraw %}'),
    ],
)
def test_braces_of_sql_are_refused_with_what_to_write(sql: str, fix: str) -> None:
    """Jinja would read them as templates. The text that the message suggests works."""
    query = f"SELECT 1\nFROM people WHERE {sql}"
    problems = template_problems(query)
    assert problems
    assert all(problem.line == 2 for problem in problems)
    assert any(f"write {fix}" in problem.message for problem in problems), problems
    quoted = fix.removeprefix("{% raw %}").removesuffix("{% endraw %}")
    corrected = query.replace(quoted, fix)
    assert template_problems(corrected) == []
    assert jinja2.Environment(autoescape=False).from_string(corrected).render() == query  # noqa: S701 - SQL


def test_braces_outside_of_quotes_are_not_taken_for_sql() -> None:
    """A template between two quoted texts is not in quotes, so the message does not suggest `raw`."""
    (problem,) = template_problems("SELECT 1 WHERE a = 'x' AND b = {{ today }} AND c = 'y'")
    assert "raw" not in problem.message


@pytest.mark.parametrize(
    ("query", "sql"),
    [
        ("SELECT {{ last_sync_time }}", "SELECT 00000000000000000000"),
        ("SELECT '{{ var.value.a }}';", f"SELECT '{'0' * 17}';"),
        ("SELECT {% raw %}'{{'{% endraw %}", "SELECT " + " " * 9 + "'{{'" + " " * 12),
        ("SELECT {# ; #} 1", "SELECT         1"),
        ("{{ var.value.query }}", None),
        ("{% if 1 %}{{ var.value.query }}{% endif %}", None),
        ("SELECT 1  {%- if 1 -%}  , 2{% endif %}", f"SELECT 1{' ' * 16}, 2{' ' * 11}"),
        ("{% if last_sync_time %}SELECT 1{% endif %}", f"{' ' * 23}SELECT 1{' ' * 11}"),
    ],
)
def test_templates_are_replaced_by_sql_of_the_same_length(query: str, sql: str | None) -> None:
    """SQL keeps its positions. A query that begins with a template is unknown until it is rendered."""
    assert sql_of(query) == sql


def test_the_examples_of_the_documentation_are_right() -> None:
    """All queries in docs/specs.md are valid."""
    text = (Path(__file__).parents[2] / "docs" / "specs.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(queries) == 2
    for query in queries:
        assert template_problems(query) == []
        sql = sql_of(query)
        assert sql is None or not_one_select(sql) is None
