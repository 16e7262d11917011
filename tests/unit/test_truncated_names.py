"""Names that Postgres truncates are found in the text of a query."""

from __future__ import annotations

import pytest

from airflow_provider_cio.engine.sources.postgres.truncated_names import names_before_truncation

LONG = "number_of_orders_in_the_last_thirty_days_without_those_that_were_returned"
KEPT = LONG[:63]


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        (f"SELECT id, 1 AS {LONG}", KEPT),
        (f"SELECT id, 1 {LONG} FROM t", KEPT),
        (f'SELECT id, 1 AS "{LONG}"', KEPT),
        (f"SELECT id, 1 AS {LONG.title()}", KEPT),
        (f'SELECT id, 1 AS "{LONG.title()}"', LONG.title()[:63]),
        (f"WITH w AS (SELECT 1 AS {LONG}) SELECT id, w.* FROM w", KEPT),
        (f"SELECT id, {KEPT} AS {KEPT}x FROM t", KEPT),
        (f"SELECT id, '\\' || 'x' AS {LONG}, 'y'", KEPT),
        (f"SELECT id, E'\\'' AS {LONG}", KEPT),
        (f"SELECT id, $a$ it's $a$ AS {LONG}", KEPT),
        (f"SELECT id /* it's */, -- it's\n 1 AS {LONG}", KEPT),
        (f"SELECT id, t.a$b{LONG} FROM t", f"a$b{LONG}"[:63]),
        (f'SELECT id, 1 AS "a""b{LONG}"', f'a"b{LONG}'[:63]),
        ('SELECT id, 1 AS "' + "x" * 62 + 'é"', "x" * 62),
        ('SELECT id, 1 AS "' + "x" * 61 + '日本"', "x" * 61),
        ('SELECT id, 1 AS "' + "x" * 60 + '\U0001f600y"', "x" * 60),
        ("SELECT id, 1 AS " + "é" * 32, "é" * 31),
        ("SELECT id, 1 AS É" + "é" * 31, "É" + "é" * 30),
        ("SELECT id, 1 AS " + "é" * 64, "é" * 63),  # a server in LATIN1
        ("SELECT id, 1 AS " + "x" * 128, "x" * 127),  # Redshift
    ],
)
def test_the_name_before_truncation_is_found(sql: str, name: str) -> None:
    """A name can be an alias, the name of a column, quoted or not, and in any encoding."""
    assert list(names_before_truncation(sql, ["id", name])) == [name]


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        (f"SELECT id, 1 AS {KEPT}", KEPT),
        (f'SELECT id, 1 AS "{KEPT}"', KEPT),
        ("SELECT * FROM t", KEPT),
        (f"SELECT id, {LONG} AS orders FROM t", "orders"),
        (f"SELECT id, '{LONG}' AS {KEPT}", KEPT),
        (f"SELECT id, 1 AS {KEPT} -- once {LONG}", KEPT),
        (f"SELECT id, 1 AS {KEPT} /* once {LONG} */", KEPT),
        (f"SELECT id, $${LONG}$$ AS {KEPT}", KEPT),
        (f"SELECT id, '\\' AS {KEPT}, '{LONG}' AS b", KEPT),
        (f"SELECT id, 1 AS {LONG}", LONG),  # a server that keeps more
        (f"SELECT id, {LONG[:62]}, {LONG[:62]}x AS y FROM t", LONG[:62]),
        ("SELECT id, 1 AS " + "é" * 31, "é" * 31),
    ],
)
def test_a_long_name_that_is_complete_is_not_reported(sql: str, name: str) -> None:
    """Postgres keeps 63 bytes, so a name of 63 bytes can be the name that the author wrote."""
    assert names_before_truncation(sql, ["id", name]) == {}


def test_all_names_with_the_same_beginning_are_found() -> None:
    """Two names can become one, and the author has to change both."""
    query = f"SELECT 1 AS {LONG}_june, 2 AS {LONG}_july"
    assert names_before_truncation(query, [KEPT, KEPT]) == {KEPT: (f"{LONG}_june", f"{LONG}_july")}
