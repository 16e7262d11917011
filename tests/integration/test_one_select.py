"""Which queries are one SELECT: `not_one_select` agrees with the cursors of Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_cio.specs.sql import limit_of, not_one_select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.postgres import LocalPostgres

ACCEPTED = [
    "SELECT 1",
    "select 1;",
    "SELECT 1;;",
    "SELECT 1 ; -- done; really",
    "-- first\n/* and /* nested */ ; */ SELECT 1",
    "(SELECT 1)",
    "((SELECT 1) UNION (SELECT 2)) ORDER BY 1",
    "VALUES (1), (2)",
    "(VALUES (1))",
    "TABLE t",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "WITH a AS MATERIALIZED (SELECT 1), b AS NOT MATERIALIZED (TABLE a) TABLE b",
    "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT n FROM a",
    "WITH update AS (SELECT 1) SELECT * FROM update",
    "WITH a AS (SELECT 1) (SELECT * FROM a)",
    "SELECT ';', 'it''s; free', \"a;b\" FROM (SELECT 1 AS \"a;b\") AS x",
    "SELECT E'\\';', e'a\\\\', U&'\\0041;', B'1', X'1F'",
    "SELECT $$;$$, $a$ $$;$$ $a$, $ä$;$ä$",
    "SELECT 'INSERT INTO t', $$UPDATE t$$ -- DELETE",
    'SELECT 1 AS into, 2 AS update, 3 AS "for"',
    "SELECT substring('abc' FROM 1 FOR update) FROM (SELECT 2 AS update) AS x",
    "SELECT overlay('abc' PLACING 'x' FROM 1 FOR share) FROM (SELECT 2 AS share) AS x",
    "SELECT a$b FROM (SELECT 1 AS a$b) AS x",
    "SELECT 1 AS insert, 2 AS delete, 3 AS merge",
    "SELECT * FROM json_to_record('{}') AS (update int, insert text, delete int);",
    "SELECT * FROM json_to_record('{}') AS x(update int, set text);",
    "SELECT trim(delete FROM 'a'), substring(delete FROM 1) FROM (SELECT 'b' AS delete) AS x;",
    "SELECT (update), (delete) FROM (VALUES (1, 2)) AS x(update, delete);",
    "WITH merge(update) AS (SELECT 1) SELECT (update) FROM merge;",
    "SELECT E'a'\n'b\\'; c' AS t, 'C:\\temp' AS path, E'\\\\' AS b",
    "SELECT n FROM t merge FOR READ ONLY",
    "SELECT id FROM jsonb_path_query('[1]', '$[*] ? (@ > 1)') AS id WHERE '{\"a\": 1}'::jsonb ? 'a'",
    "SELECT n, sum(n) OVER w, count(*) FILTER (WHERE n > 1) OVER w FROM t WINDOW w AS (ORDER BY n) -- it's",
    "SELECT x.n FROM t CROSS JOIN LATERAL (SELECT t.n FETCH FIRST ROW ONLY) AS x WHERE x.n % 2 = 1",
    "WITH RECURSIVE a(n) AS (TABLE t UNION SELECT n FROM a) SEARCH DEPTH FIRST BY n SET o TABLE a",
    "WITH RECURSIVE a(n) AS (VALUES (1) UNION ALL SELECT n FROM a) CYCLE n SET c USING p SELECT n FROM a",
    "SELECT U&'d\\0061t', U&\"d!0061\" UESCAPE '!' FROM (SELECT 1 AS da) AS x",
    "SELECT 'a {0} %s %(x)s it''s' LIKE '%%', '{1,2}'::int[] && ARRAY[1], '{\"a\": {\"b\": []}}'::jsonb",
    "SELECT (ARRAY[1, 2])[1:2], 5 # 3, @ -5, |/ 25, 1e5, 0x1F, 1_000",
    "SELECT q.limit, q.into FROM (SELECT 1 AS limit, 2 AS into) AS q",
    "SELECT replace('a', 'b', 'c') FROM t WHERE (SELECT true)",
]

REFUSED = {
    "INSERT INTO t VALUES (1)": "begins with INSERT",
    "UPDATE t SET n = 1": "begins with UPDATE",
    "update t set n = 1 returning n": "begins with UPDATE",
    "DELETE FROM t": "begins with DELETE",
    "MERGE INTO t USING t AS s ON true WHEN MATCHED THEN DELETE": "begins with MERGE",
    "COPY t TO STDOUT": "begins with COPY",
    "EXPLAIN SELECT 1": "begins with EXPLAIN",
    "SHOW timezone": "begins with SHOW",
    "SET timezone = 'UTC'": "begins with SET",
    "DO $$BEGIN END$$": "begins with DO",
    "CALL p()": "begins with CALL",
    "VACUUM t": "begins with VACUUM",
    "TRUNCATE t": "begins with TRUNCATE",
    "CREATE TABLE u (n int)": "begins with CREATE",
    "BEGIN": "begins with BEGIN",
    "EXECUTE q": "begins with EXECUTE",
    "FETCH ALL FROM c": "begins with FETCH",
    "LOCK t": "begins with LOCK",
    "5": "begins with something else",
    "'SELECT 1'": "begins with something else",
    "": "is empty",
    ";": "is empty",
    " -- SELECT 1": "is empty",
    "/* SELECT 1 */": "is empty",
    "SELECT 1; SELECT 2": "another statement follows",
    "SELECT 1; DROP TABLE t": "another statement follows",
    "SELECT ';'; SELECT $$;$$": "another statement follows",
    "SELECT 1 /* ; */ ; -- x\n SELECT 2": "another statement follows",
    "SELECT (1; DROP TABLE t)": "another statement follows",
    "SELECT 1 \\g": "a command of psql",
    "SELECT 1 AS a \\gset": "a command of psql",
    "SELECT 1 INTO u": "creates a table",
    "SELECT n INTO TEMP u FROM t": "creates a table",
    "WITH a AS (SELECT 1) SELECT * INTO u FROM a": "creates a table",
    "SELECT n FROM t FOR UPDATE": "FOR UPDATE locks rows",
    "SELECT n FROM t FOR NO KEY UPDATE": "locks rows",
    "SELECT n FROM t FOR SHARE OF t": "FOR SHARE locks rows",
    "SELECT n FROM t FOR KEY SHARE SKIP LOCKED": "locks rows",
    "SELECT * FROM (SELECT n FROM t FOR UPDATE) AS x": "FOR UPDATE locks rows",
    "WITH a AS (INSERT INTO t VALUES (1) RETURNING n) SELECT * FROM a": "INSERT changes data",
    "WITH a AS MATERIALIZED (DELETE FROM t RETURNING n) SELECT * FROM a": "DELETE changes data",
    "WITH a AS (SELECT 1), b(n) AS (UPDATE t SET n = 2 RETURNING n) TABLE b": "UPDATE changes data",
    "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a": "INSERT changes data",
    "WITH a AS (SELECT 1) DELETE FROM t": "DELETE changes data",
    "SELECT * FROM (WITH a AS (DELETE FROM t RETURNING n) TABLE a) AS x": "DELETE changes data",
    "SELECT 1 UNION (DELETE FROM t)": "DELETE changes data",
    "WITH a AS (UPDATE ONLY public.t AS x SET n = 1 RETURNING n) TABLE a": "UPDATE changes data",
    "WITH a AS (MERGE INTO t USING t AS s ON true WHEN MATCHED THEN DELETE) SELECT 1": "MERGE changes data",
    "(INSERT INTO t VALUES (1))": "begins with INSERT",
    "SELECT 'a": "the quote ' is not closed",
    'SELECT "a': 'the quote " is not closed',
    "SELECT 'a;": "the quote ' is not closed",
    'SELECT "a;': 'the quote " is not closed',
    "SELECT $a$ $b$": "the quote $a$ is not closed",
    "SELECT 1 /* /* */": "the comment /* is not closed",
}


@pytest.fixture(scope="module")
def connection(postgres: LocalPostgres) -> Iterator[psycopg.Connection[Any]]:
    with postgres.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (n int)")
        connection.execute("SET default_transaction_read_only = on")
        yield connection


def opens(connection: psycopg.Connection[Any], query: str) -> bool:
    """Return whether Postgres opens a cursor for the query, as a run does, and reads from it."""
    try:
        with connection.transaction(), connection.cursor(name="c") as cursor:
            cursor.execute(query.encode())
            cursor.fetchall()
    except (psycopg.Error, UnicodeError):
        return False
    return True


@pytest.mark.parametrize("query", ACCEPTED)
def test_queries_that_a_cursor_can_read_are_accepted(connection: psycopg.Connection[Any], query: str) -> None:
    """Quotes and comments make no difference."""
    assert opens(connection, query)
    assert not_one_select(query + " -- ") is None


@pytest.mark.parametrize("query", REFUSED)
def test_other_queries_are_refused(connection: psycopg.Connection[Any], query: str) -> None:
    """The message has the word because of which the query is refused."""
    assert not opens(connection, query)
    found = not_one_select(query)
    assert found
    assert REFUSED[query] in found.message
    assert found.message.startswith("the query must be one SELECT")


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("SELECT 1; SELECT 2", (1, 11)),
        ("-- a\nUPDATE t SET n = 1", (2, 1)),
        ("WITH a AS (\n  DELETE FROM t)\nSELECT 1", (2, 3)),
        ("SELECT 1 --\r\n  'a", (2, 3)),
    ],
)
def test_the_position_is_that_of_the_word(query: str, position: tuple[int, int]) -> None:
    """Line and column count from 1."""
    found = not_one_select(query + ";")
    assert found
    assert (found.line, found.column) == position


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("SELECT n FROM t LIMIT 5", "LIMIT"),
        ("SELECT n FROM t OFFSET 5 ROWS", "OFFSET"),
        ("SELECT n FROM t FETCH FIRST 5 ROWS ONLY", "FETCH"),
        ("SELECT n FROM t FETCH NEXT ROW ONLY", "FETCH"),
        ("(SELECT n FROM t LIMIT 5)", "LIMIT"),
        ("(SELECT n FROM t LIMIT 5) UNION ALL (SELECT n FROM t)", "LIMIT"),
        ("(SELECT n FROM t) UNION ALL (SELECT n FROM t LIMIT 5)", "LIMIT"),
        ("WITH a AS (SELECT 1) SELECT * FROM a LIMIT 5", "LIMIT"),
        ("WITH a AS (SELECT 1) (SELECT * FROM a LIMIT 5)", "LIMIT"),
        ("VALUES (1) LIMIT 5", "LIMIT"),
        ("TABLE t LIMIT 5", "LIMIT"),
        ("SELECT n FROM t LIMIT ALL", None),
        ("SELECT n FROM t LIMIT NULL", None),
        ("SELECT n FROM t OFFSET 0", None),
        ("SELECT n FROM t OFFSET 0 LIMIT 5", "LIMIT"),
        ("SELECT (SELECT n FROM t LIMIT 1) AS n", None),
        ("SELECT n FROM t WHERE n = ANY (SELECT n FROM t LIMIT 1)", None),
        ("SELECT n FROM t WHERE n >= ALL (SELECT n FROM t LIMIT 1)", None),
        ("WITH a AS (SELECT 1 LIMIT 1) SELECT * FROM a", None),
        ("SELECT n AS limit FROM t", None),
        ("SELECT 'LIMIT 5' -- LIMIT 5", None),
        ("SELECT * FROM (SELECT n FROM t LIMIT 5) AS x", None),
    ],
)
def test_a_limit_of_the_result_is_found(
    connection: psycopg.Connection[Any], query: str, word: str | None
) -> None:
    """A limit of a subquery does not count, and neither does one that limits nothing."""
    assert opens(connection, query)
    found = limit_of(query)
    assert (found and found.message) == word
