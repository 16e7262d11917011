"""What a query may have between double braces."""

from __future__ import annotations

import pytest

from airflow_provider_cio.specs.templates import template_faults


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "SELECT {{last_sync_time}}",
        "SELECT {{ last_sync_time }} AS a, {{ last_sync_time - 60 }} AS b",
        "SELECT '{{ var.value.get('plan', 'free') }}', {{ var.json.limits.rows | int }}",
        "{% if last_sync_time %}SELECT 1{% else %}SELECT 2{% endif %}",
        "{% set since = last_sync_time %}SELECT {{ since }}",
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
