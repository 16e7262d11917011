"""What a query may have between double braces."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest

from airflow_provider_cio.specs.sql import not_one_select
from airflow_provider_cio.specs.templates import sql_of, template_faults, uses_last_sync_time


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
    """With all that Jinja can do with them."""
    assert template_faults(query) == []


@pytest.mark.parametrize(
    ("query", "place", "message"),
    [
        ("SELECT\n  {{ last_sync }}", (2, 6, 9), "did you mean last_sync_time?"),
        ("SELECT '{{ ds }}'", (1, 12, 2), "allowed are last_sync_time, var"),
        ("SELECT {{ conn.warehouse.password }}", (1, 11, 4), "{{ conn }} is not known here"),
        ("SELECT\n1 {{ last_sync_time", (2, 1, 1), "the template cannot be read: "),
        ("SELECT {{ last_sync_time | datum }}", (1, 1, 1), "No filter named 'datum'"),
    ],
)
def test_anything_else_is_a_mistake_at_its_place(
    query: str, place: tuple[int, int, int], message: str
) -> None:
    """A connection's password would be shown in the Rendered Template tab; a typo would be an empty text."""
    (fault,) = template_faults(query)
    assert (fault.line, fault.column, fault.length) == place
    assert message in fault.message


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
    """The process that parses all specs would take hours, or all memory, for one of them."""
    template_faults(query)
    uses_last_sync_time(query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{% include 'shared/cte.sql' %}", "{% include %} is not allowed: a query may have if, set, raw"),
        ("{% import 'a' as a %}SELECT 1", "{% import %} is not allowed"),
        ("{% from 'a' import b %}SELECT 1", "{% from %} is not allowed"),
        ("{% extends 'a' %}", "{% extends %} is not allowed"),
        ("{% block a %}{% endblock %}", "{% block %} is not allowed"),
        ("{% macro a() %}{% endmacro %}SELECT 1", "{% macro %} is not allowed"),
        ("{% filter upper %}SELECT 1{% endfilter %}", "{% filter %} is not allowed"),
        ("{% with a = 1 %}SELECT 1{% endwith %}", "{% with %} is not allowed"),
        ("{% do last_sync_time %}", "Encountered unknown tag 'do'"),
        ("SELECT {{ last_sync_time is odds }}", "No test named 'odds'"),
        ("{% for n in range(10**9) %}{{ n }}{% endfor %}", "a loop may only go over a Variable"),
        ("{% for n in 'ab' * 10**9 %}{{ n }}{% endfor %}", "a loop may only go over a Variable"),
        (
            "{% for a in var.json.a %}{% for b in var.json.b %}{{ b }}{% endfor %}{% endfor %}",
            "a loop may only go over a Variable",
        ),
        ("SELECT {{ last_sync_time * 10**10 }}", "** is not allowed here"),
        ("{% set a = 10 ** 10 ** 10 %}SELECT {{ last_sync_time }}", "** is not allowed here"),
        ("SELECT {{ var.value.get('a', 'b' * 10000000000) }}", "* is not allowed here"),
        ("SELECT {{ ([0] * last_sync_time) | length }}", "* is not allowed here"),
        ("SELECT {{ last_sync_time.foo.bar }}", "last_sync_time is a number and has nothing called foo"),
        ("SELECT {{ last_sync_time.__class__ }}", "__class__ cannot be used: it begins with _"),
        ("SELECT {{ var.value.get.__globals__ }}", "__globals__ cannot be used"),
        ("SELECT {{ var }}", "var needs the key of a Variable"),
        ("SELECT {{ var.value }}", "var needs the key of a Variable"),
        ("SELECT {{ var.valeu.key }}", "var has value and json, not valeu: did you mean value?"),
        ("SELECT {{ last_sync_time }", "the template cannot be read"),
        ("SELECT {{ last_sync_time }} {% if %}", "the template cannot be read"),
        ("SELECT {% if last_sync_time %}1", "the template cannot be read"),
    ],
)
def test_what_a_query_does_not_need_is_refused(query: str, message: str) -> None:
    """What would fail at run, read other files, or never end."""
    assert message in " ".join(fault.message for fault in template_faults(query))


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
    """Jinja would read them; the fix that is named works."""
    query = f"SELECT 1\nFROM people WHERE {sql}"
    faults = template_faults(query)
    assert faults
    assert all(fault.line == 2 for fault in faults)
    assert any(f"write {fix}" in fault.message for fault in faults), faults
    quoted = fix.removeprefix("{% raw %}").removesuffix("{% endraw %}")
    mended = query.replace(quoted, fix)
    assert template_faults(mended) == []
    assert jinja2.Environment(autoescape=False).from_string(mended).render() == query  # noqa: S701 - SQL


def test_braces_outside_of_quotes_are_not_taken_for_sql() -> None:
    """What stands between two texts is no text."""
    (fault,) = template_faults("SELECT 1 WHERE a = 'x' AND b = {{ today }} AND c = 'y'")
    assert "raw" not in fault.message


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
def test_sql_is_seen_without_its_templates(query: str, sql: str | None) -> None:
    """At the same places; not at all where it is only known when it is rendered."""
    assert sql_of(query) == sql


def test_the_examples_of_the_documentation_are_right() -> None:
    """All queries that docs/specs.md shows."""
    text = (Path(__file__).parents[2] / "docs" / "specs.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(queries) == 2
    for query in queries:
        assert template_faults(query) == []
        sql = sql_of(query)
        assert sql is None or not_one_select(sql) is None
