"""A run reads the same values as an ordinary session of the role."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from airflow_provider_cio.engine import PeopleQuery, PostgresSource, Rejections, Summary, Sync, run_sync
from airflow_provider_cio.engine.delivery.dry_run import DryRun

if TYPE_CHECKING:
    from tests.conftest import Database

#: Settings of a role or a database that change the meaning of an expression or the format of a text.
SETTINGS = {
    "timezone": ["America/New_York", "Asia/Kolkata", "Pacific/Apia", "UTC", "Europe/Berlin"],
    "datestyle": ["ISO, MDY", "ISO, DMY", "SQL, DMY", "German", "Postgres, MDY"],
    "intervalstyle": ["postgres", "sql_standard", "iso_8601", "postgres_verbose"],
    "extra_float_digits": ["-15", "0", "3"],
    "bytea_output": ["escape", "hex"],
    "search_path": ["shadow, public", "public"],
    "lc_monetary": ["C"],
    "array_nulls": ["off", "on"],
    "transform_null_equals": ["on", "off"],
    "standard_conforming_strings": ["on"],
    "backslash_quote": ["on", "safe_encoding"],
    "xmloption": ["document", "content"],
    "quote_all_identifiers": ["on", "off"],
    "default_text_search_config": ["pg_catalog.german", "pg_catalog.simple"],
    "timezone_abbreviations": ["Australia", "Default"],
    "gin_fuzzy_search_limit": ["0"],
    "row_security": ["on"],
}

#: Expressions of a query. Each is cast to text in the query, so that the session decides about its format.
EXPRESSIONS = [
    "(timestamptz '2026-03-01 22:30-05'::date)::text",
    "'10/11/12'::date::text",
    "(timestamp '2026-07-01 12:00')::timestamptz::text",
    "extract(epoch FROM timestamp '2026-07-01 12:00' AT TIME ZONE current_setting('TimeZone'))::text",
    "date_trunc('day', timestamptz '2026-07-01 03:00+00')::text",
    "to_char(timestamptz '2026-07-01 03:00+00', 'YYYY-MM-DD HH24:MI TZ')",
    "interval '1 year 2 months 3 days 04:05:06'::text",
    "(0.1::float8 + 0.2::float8)::text",
    "(1/3::real)::text",
    "'\\xDEADBEEF'::bytea::text",
    "tstzrange('2026-07-01 00:00+00', NULL)::text",
    "ROW(timestamptz '2026-07-01 00:00+00', interval '1 day')::text",
    "to_jsonb(timestamptz '2026-07-01 00:00+00')::text",
    "'{NULL, a}'::text[]::text",
    "(NULL = NULL)::text",
    "to_tsvector('the running dogs')::text",
    "shadowed(1)::text",
    "current_setting('TimeZone')",
    "current_setting('DateStyle')",
    "current_setting('IntervalStyle')",
    "current_setting('extra_float_digits')",
    "current_setting('bytea_output')",
    "current_setting('search_path')",
]


def read(database: Database, query: str, since: int = 0) -> tuple[list[dict[str, Any]], Summary]:
    """Run a query in a dry run, and return the attributes that would be sent and the summary."""
    found: list[dict[str, Any]] = []

    class Recorder(DryRun):
        def send_batch(self, operations: Any) -> list[Any]:
            import msgspec

            found.extend(msgspec.json.decode(operation)["attributes"] for operation in operations)
            return []

    summary = Summary(since)
    sync = Sync(main=PeopleQuery(sql=query))
    run_sync(sync, PostgresSource(database.connect), Recorder(), Rejections(), summary)
    return found, summary


@pytest.mark.parametrize(
    ("setting", "value"), [(setting, value) for setting, values in SETTINGS.items() for value in values]
)
def test_every_expression_has_the_same_value_as_in_an_ordinary_session(
    database: Database, setting: str, value: str
) -> None:
    """This holds for every setting of the database."""
    database.execute(
        "CREATE SCHEMA shadow; CREATE FUNCTION public.shadowed(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION shadow.shadowed(int) RETURNS int LANGUAGE sql AS 'SELECT 2'"
    )
    names = value if setting == "search_path" else f"'{value}'"
    if setting == "datestyle":
        names = value
    try:
        database.execute(f"ALTER DATABASE {database.name} SET {setting} = {names}")
    except psycopg.errors.InvalidParameterValue:
        pytest.skip("this server does not support the value")
    columns = ", ".join(f"{expression} AS e{number}" for number, expression in enumerate(EXPRESSIONS))
    with database.connect() as plain:
        expected = plain.execute(f"SELECT {columns}".encode()).fetchone()
    ((found), _) = read(database, f"SELECT 'p' AS id, {columns}")
    assert expected is not None
    assert dict(zip(EXPRESSIONS, found[0].values(), strict=True)) == dict(
        zip(EXPRESSIONS, expected, strict=True)
    )


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC", "Europe/Berlin", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    ("column", "condition"),
    [
        ("timestamp", ">= to_timestamp({since})"),
        ("timestamptz", ">= to_timestamp({since})"),
        ("date", ">= to_timestamp({since})::date"),
        ("timestamp(0)", "> to_timestamp({since})"),
        ("time_domain", ">= to_timestamp({since})"),
    ],
)
def test_a_row_that_changes_between_two_runs_is_read_by_the_second(
    database: Database, zone: str, column: str, condition: str
) -> None:
    """This holds for every type of the column that stamps a row, and for every time zone of the server."""
    database.execute(f"ALTER DATABASE {database.name} SET timezone = '{zone}'")
    database.execute("CREATE DOMAIN time_domain AS timestamp")
    with database.connect() as plain:
        plain.execute(f"CREATE TABLE t (id text, changed {column} NOT NULL DEFAULT now())".encode())
        plain.execute("INSERT INTO t VALUES ('first')")
    query = f"SELECT id, changed FROM t WHERE changed {condition}"
    _, first = read(database, query.format(since=0))
    with database.connect() as plain:
        plain.execute("INSERT INTO t VALUES ('second')")
    _, second = read(database, query.format(since=first.next_last_sync_time), first.next_last_sync_time)
    assert (first.rows_read, second.rows_read) in {(1, 1), (1, 2)}  # the first row can be read twice
    with database.connect() as plain:
        (missed,) = plain.execute(
            "SELECT count(*) FROM t WHERE id = 'second' AND NOT changed "
            f"{condition.format(since=first.next_last_sync_time)}".encode()
        ).fetchone() or (1,)
    assert missed == 0


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Europe/Berlin", "UTC"])
@pytest.mark.parametrize(
    "local_time",
    [
        "2026-03-08 02:30:00",  # does not exist in New York
        "2026-11-01 01:30:00",  # exists twice there
        "2026-03-29 02:30:00",  # the same in Berlin
        "2026-07-01 12:00:00",
        "1900-01-01 00:00:00",
        "1969-12-31 23:59:59.5",
    ],
)
def test_a_naive_timestamp_is_the_moment_that_postgres_interprets(
    database: Database, zone: str, local_time: str
) -> None:
    """Its value is that of a cast to timestamptz, also in arrays and domains and when the clocks change."""
    database.execute(f"ALTER DATABASE {database.name} SET timezone = '{zone}'")
    database.execute("CREATE DOMAIN moment AS timestamp")
    literal = f"timestamp '{local_time}'"
    with database.connect() as plain:
        (expected,) = plain.execute(
            f"SELECT floor(extract(epoch FROM {literal}::timestamptz))::bigint".encode()
        ).fetchone() or (0,)
    found, _ = read(
        database,
        f"SELECT 'p' AS id, {literal} AS naive, ARRAY[{literal}, NULL] AS several,"
        f" {literal}::moment AS of_domain, ARRAY[{literal}::moment] AS of_domains, NULL::timestamp"
        f" AS none, {literal}::date AS day, 'infinity'::timestamp AS never,"
        " '294276-12-31 23:59:59'::timestamp AS last",
    )
    day = dt.datetime.fromisoformat(local_time).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=dt.UTC
    )
    assert found == [
        {
            "naive": expected,
            "several": [expected, None],
            "of_domain": expected,
            "of_domains": [expected],
            "none": None,
            "day": int(day.timestamp()),
            "never": None,
            "last": 9224318015999,
        }
    ]
    if local_time == "2026-07-01 12:00:00":
        moment = dt.datetime.fromisoformat(local_time).replace(tzinfo=ZoneInfo(zone))
        assert expected == int(moment.timestamp())


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("WHERE n # 1 = 2", [3]),
        ("ORDER BY n # 3", [3, 2, 1]),
        ("ORDER BY n # 3;", [3, 2, 1]),
        ("ORDER BY n DESC; -- it's the end", [3, 2, 1]),
        ("ORDER BY n DESC /* a /* b */ c */ ;", [3, 2, 1]),
        (r"WHERE '\' <> 'x' AND n = 2 ; -- '", [2]),
        ("WHERE '%s{}' = '%s{}' AND n = 2", [2]),
    ],
)
@pytest.mark.parametrize("other", ["'10:00'::time", "1"])
def test_a_query_with_casts_keeps_its_meaning(
    database: Database, end: str, expected: list[int], other: str
) -> None:
    """A cast puts the query into another one. Only a semicolon and comments at the end are removed."""
    found, _ = read(
        database,
        f'SELECT n AS id, n AS "n {{}} %s {{0}}", {other} AS other FROM generate_series(1, 3) n {end}',
    )
    assert [row["n {} %s {0}"] for row in found] == expected


def test_a_search_path_does_not_change_the_types_of_casts(database: Database) -> None:
    """A schema before pg_catalog can contain another type text. Columns are cast to the type of Postgres."""
    database.execute(
        "CREATE SCHEMA shadow; CREATE DOMAIN shadow.text AS int;"
        f"ALTER DATABASE {database.name} SET search_path = shadow, pg_catalog, public"
    )
    found, _ = read(database, "SELECT 'p' AS id, time '10:00' AS at, ARRAY[time '10:00'] AS several")
    assert found == [{"at": "10:00:00", "several": ["10:00:00"]}]
