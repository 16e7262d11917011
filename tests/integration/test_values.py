"""Values of every type of Postgres arrive in a workspace.

The samples are in the order of docs/values.md. Each sample is one row of a table, in which the column of its
type has the value and all other columns are NULL.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
import pytest
from psycopg.sql import quote

from airflow_provider_cio.engine import Status
from airflow_provider_cio.engine.delivery.dry_run import DryRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_cio.track.rejected_operation import RejectedOperation
    from tests.conftest import Database, Run
    from tests.integration.conftest import LocalWorkspace

RunQuery: TypeAlias = Callable[..., "Run"]

#: Literals of a type in SQL, with the exact JSON that is sent for each.
Values: TypeAlias = dict[str, str]


def as_text(*literals: str) -> Values:
    """Return values that are sent as the text that Postgres displays."""
    return {literal: json.dumps(literal, ensure_ascii=False) for literal in literals}


def as_json(*literals: str) -> Values:
    """Return values whose literals are JSON."""
    return {literal: literal for literal in literals}


#: Points in time with their Unix seconds.
TIMES = {
    "2024-02-29 12:00:00+00": "1709208000",
    "2024-01-01 00:00:00.9+00": "1704067200",
    "1969-12-31 23:59:59.5+00": "-1",
    "4714-11-24 00:00:00+00 BC": "-210866803200",
    "294276-12-31 23:59:59.999999+00": "9224318015999",
    "infinity": "null",
    "-infinity": "null",
}

BUILT_IN: dict[str, Values] = {
    # Whole numbers
    "int2": {"0": "0", "-32768": "-32768", "32767": "32767"},
    "int4": {"0": "0", "-2147483648": "-2147483648", "2147483647": "2147483647"},
    "int8": {"-9223372036854775808": "-9223372036854775808", "9223372036854775807": "9223372036854775807"},
    "oid": {"0": "0", "4294967295": "4294967295"},
    # Numbers with all of their digits
    "numeric": {
        "0": "0",
        "-1.50": "-1.50",
        "12345678901234567890": "12345678901234567890",
        "12345678901234567890.123456789": "12345678901234567890.123456789",
        "1e30": "1000000000000000000000000000000",
        "0.0000001": "1E-7",
        "NaN": "null",
        "Infinity": "null",
        "-Infinity": "null",
    },
    # Floating-point numbers with the digits that Postgres displays
    "float4": {
        "1": "1.0",
        "0.1": "0.1",
        "-0": "-0.0",
        "3.4028235e+38": "3.4028235e38",
        "1e-45": "1e-45",
        "NaN": "null",
        "Infinity": "null",
        "-Infinity": "null",
    },
    "float8": {
        "1": "1.0",
        "0.1": "0.1",
        "-0": "-0.0",
        "1.7976931348623157e+308": "1.7976931348623157e308",
        "5e-324": "5e-324",
        "NaN": "null",
        "Infinity": "null",
        "-Infinity": "null",
    },
    "bool": {"true": "true", "false": "false"},
    # Texts
    "text": as_text(
        "",
        "ünï 😀",
        '"quoted", it\'s {a\\b}',
        "two\r\nlines\tand\u2028more\ufeff",
        "".join(map(chr, [*range(1, 0x20), 0x7F])),
    ),
    "varchar": as_text("", "ünï"),
    "bpchar": as_text("", "padded  "),
    "name": as_text("", "n" * 63),
    "char": as_text("", "a", r"\377"),
    "uuid": as_text("00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    # JSON, which is sent unread
    "json": as_json(
        "null",
        "-0",
        "1.50",
        "1e400",
        "1e99999999999999999999",
        "12345678901234567890",
        r'"\u0000 \ud83d\ude00"',
        '{"a": 1, "a": [true, null, {}]}',
        '{"a" :\r\n\t[ ] }',
        '["[[[[[[[[", "\\"]"]',
    ),
    "jsonb": {
        "null": "null",
        "1.50": "1.50",
        "1e30": "1000000000000000000000000000000",
        "12345678901234567890": "12345678901234567890",
        r'"\u0001 \ud83d\ude00"': r'"\u0001 😀"',
        '{"b": 2, "a": 1, "a": [true, null, {}]}': '{"a": [true, null, {}], "b": 2}',
    },
    # Dates and times as Unix seconds, rounded down
    "date": {
        "2024-02-29": "1709164800",
        "1969-12-31": "-86400",
        "4714-11-24 BC": "-210866803200",
        "5874897-12-31": "185331706992000",
        "infinity": "null",
        "-infinity": "null",
    },
    "timestamp": {literal.replace("+00", ""): seconds for literal, seconds in TIMES.items()},
    "timestamptz": {**TIMES, "2024-01-01 01:00:00.9+01": "1704067200"},
    # Bytes as base64
    "bytea": {r"\x": '""', r"\xff00": '"/wA="'},
    # All types below are sent as text. Time of day and durations
    "time": as_text("00:00:00", "23:59:59.999999", "24:00:00"),
    "timetz": as_text("00:00:00+15:59", "24:00:00-15:59"),
    "interval": as_text(
        "00:00:00",
        "1 year 2 mons -3 days +04:05:06.789",
        "178956970 years 7 mons 2147483647 days 2562047788:00:54.775806",
        "infinity",
        "-infinity",
    ),
    # Money
    "money": as_text("$0.00", "-$92,233,720,368,547,758.08"),
    # Networks
    "inet": as_text(
        *("10.0.0.1", "10.0.0.1/8", "0.0.0.0/0"),
        *("::", "::1", "::2", "::1.2.3.4", "::ffff:1.2.3.4", "2001:db8::/32", "1::2:3:4:5:6"),
    ),
    "cidr": as_text("10.0.0.1/32", "10.0.0.0/8", "::/0"),
    "macaddr": as_text("08:00:2b:01:02:03"),
    "macaddr8": as_text("08:00:2b:01:02:03:04:05"),
    # Bits
    "bit": as_text("", "101"),
    "varbit": as_text("", "10101"),
    # Geometry
    "point": as_text("(0.1,-1e+300)", "(Infinity,NaN)"),
    "line": as_text("{1,-1,0}"),
    "lseg": as_text("[(0,0),(1,1)]"),
    "box": as_text("(1,1),(0,0)"),
    "path": as_text("[(0,0),(1,1)]", "((0,0),(1,1))"),
    "polygon": as_text("((0,0),(1,0),(1,1))"),
    "circle": as_text("<(0.1,-1e+300),0>"),
    # Ranges
    "int4range": as_text("[1,5)", "empty", "(,)"),
    "int8range": as_text("[-9223372036854775808,9223372036854775807)"),
    "numrange": as_text("[1.50,2)", "(-Infinity,NaN]"),
    "daterange": as_text('["4714-11-24 BC",2024-01-01)', "[2024-01-01,infinity)"),
    "tsrange": as_text('["2024-01-01 00:00:00",infinity)'),
    "tstzrange": as_text('["2024-01-01 00:00:00+00",)'),
    "int4multirange": as_text("{}", "{[1,3),[5,8)}"),
    "int8multirange": as_text("{[1,3),[5,)}"),
    "nummultirange": as_text("{[1.50,2),[3,NaN]}"),
    "datemultirange": as_text("{[2024-01-01,2024-02-01)}"),
    "tsmultirange": as_text('{["2024-01-01 00:00:00",infinity)}'),
    "tstzmultirange": as_text('{["2024-01-01 00:00:00+00",)}'),
    # Searching
    "tsvector": as_text("", "'a' 'b':2A"),
    "tsquery": as_text("", "'a' & !'b'"),
    "jsonpath": as_text('$."a"[*]', 'strict $."a"?(@ > 1)'),
    "xml": {},  # NULL only, because the Postgres of the tests was built without XML
    # System types
    "int2vector": as_text("", "1 -2 3"),
    "oidvector": as_text("", "1 4294967295"),
    "tid": as_text("(0,0)", "(4294967295,65535)"),
    "xid": as_text("0", "4294967295"),
    "xid8": as_text("0", "18446744073709551615"),
    "cid": as_text("0", "4294967295"),
    "pg_lsn": as_text("0/0", "FFFFFFFF/FFFFFFFF"),
    "pg_snapshot": as_text("10:20:10,14,15"),
    "txid_snapshot": as_text("10:20:10,14,15"),
    "aclitem": as_text("postgres=r/postgres", "=arwdDxtm/postgres"),
    "refcursor": as_text("", "portal"),
    "regclass": as_text("-", "pg_type", "4294967295"),
    "regcollation": as_text("-", '"C"'),
    "regconfig": as_text("-", "english"),
    "regdictionary": as_text("-", "simple"),
    "regnamespace": as_text("-", "pg_catalog"),
    "regoper": as_text("0", "||/"),
    "regoperator": as_text("0", "+(integer,integer)"),
    "regproc": as_text("-", "now"),
    "regprocedure": as_text("-", "now()"),
    "regrole": as_text("-", "postgres"),
    "regtype": as_text("-", "integer", "character varying[]"),
    # Types of indexes, statistics and stored expressions. NULL only, because they have no literals in SQL
    "gtsvector": {},
    "pg_brin_bloom_summary": {},
    "pg_brin_minmax_multi_summary": {},
    "pg_dependencies": {},
    "pg_mcv_list": {},
    "pg_ndistinct": {},
    "pg_node_tree": {},
}

#: Types of Postgres that have no arrays.
WITHOUT_ARRAYS = {
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_ndistinct",
    "pg_node_tree",
}

OWN_TYPES = """
    CREATE DOMAIN d_text AS text CHECK (value <> 'no');
    CREATE DOMAIN d_int AS int CHECK (value > 0);
    CREATE DOMAIN d_even AS d_int CHECK (value % 2 = 0);
    CREATE DOMAIN d_numeric AS numeric(30, 2);
    CREATE DOMAIN d_real AS real;
    CREATE DOMAIN d_jsonb AS jsonb;
    CREATE DOMAIN d_timestamptz AS timestamptz CHECK (value > '2000-01-01 00:00:00+00');
    CREATE DOMAIN d_bytea AS bytea;
    CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', '{,}', '😀');
    CREATE DOMAIN d_mood AS mood;
    CREATE TYPE parts AS
        (number int, label text, none int, at timestamptz, span interval, bytes bytea, double float8);
    CREATE TYPE doubles AS RANGE (subtype = float8);
    CREATE EXTENSION vector;
"""

OWN: dict[str, Values] = {
    # A domain is sent as its base type, an enum or a composite as text
    "d_text": as_text("", "ünï"),
    "d_int": {"7": "7"},
    "d_even": {"8": "8"},
    "d_numeric": {"12345678901234567890.5": "12345678901234567890.50", "NaN": "null"},
    "d_real": {"0.1": "0.1", "NaN": "null"},
    "d_jsonb": {'{"a": 1.50}': '{"a": 1.50}'},
    "d_timestamptz": {"2024-02-29 12:00:00+00": "1709208000", "infinity": "null"},
    "d_bytea": {r"\xff00": '"/wA="'},
    "mood": as_text("sad", 'it\'s "ok"', "{,}", "😀"),
    "d_mood": as_text("sad"),
    "parts": as_text(
        "(,,,,,,)",
        r'(1,"a ""b"", \\c",,"2024-01-01 00:00:00+00","1 year 2 days","\\xff00",0.30000000000000004)',
    ),
    "doubles": as_text("[0.30000000000000004,1e+300)"),
    "doubles_multirange": as_text("{[0.30000000000000004,1e+300)}"),
    "vector": as_text("[1,2.5,-3]"),
}


class Refusal(NamedTuple):
    """The field and the reason of a rejection."""

    field: str
    reason: str


class Sample(NamedTuple):
    """A row: the column with a value, the value in SQL, and its JSON or the reason why the row is refused."""

    column: str
    sql: str
    outcome: str | Refusal


TOO_LARGE = Refusal("attributes", "too_large")
INVALID_JSON = Refusal("attributes.json", "invalid")

#: The longest values that Customer.io accepts: 1,000 bytes.
LONGEST = [
    Sample("text", "repeat('é', 500)", f'"{"é" * 500}"'),
    Sample("numeric", "repeat('9', 1000)::numeric", "9" * 1000),
    Sample("json", "(repeat('[', 500) || repeat(']', 500))::json", "[" * 500 + "]" * 500),
    Sample("jsonb", "(repeat('[', 500) || repeat(']', 500))::jsonb", "[" * 500 + "]" * 500),
]
#: Rows that are not sent: more than 32,000 bytes, or JSON that would make its batch unreadable.
REFUSED_BY_US = [
    Sample("text", "repeat('x', 1000000)", TOO_LARGE),
    Sample("numeric", "repeat('9', 131072)::numeric", TOO_LARGE),
    Sample("bytea", "decode(repeat('ff', 1000000), 'hex')", TOO_LARGE),
    Sample("text[]", "array_fill('x'::text, ARRAY[100000])", TOO_LARGE),
    Sample("jsonb", "'1e131071'", TOO_LARGE),
    *(
        Sample("json", quote(literal), INVALID_JSON)
        for literal in (r'"\ud800"', r'"a \udc00 b"', r'{"\ud83d": 1}', r'["\ud83d\ud83d\ude00"]')
    ),
    Sample("json[]", r"""ARRAY['1', '"\ud800"']::json[]""", Refusal("attributes.json[]", "invalid")),
    *(
        Sample("json", f"(repeat('[', {levels}) || repeat(']', {levels}))::json", INVALID_JSON)
        for levels in (501, 5000)
    ),
]
#: Rows that Customer.io refuses: values of more than 1,000 bytes.
REFUSED_BY_CUSTOMERIO = [
    Sample(column, sql, Refusal(f"attributes.{column}", "invalid"))
    for column, sql in {
        "text": "repeat('x', 8000)",
        "varchar": "repeat('é', 501)",
        "numeric": "repeat('9', 5000)::numeric",
        "bytea": "decode(repeat('ff', 1000), 'hex')",
        "int4[]": "array_fill(1, ARRAY[1000])",
        "jsonb": "to_jsonb(repeat('[', 1001))",
        "json": "('[1e99999999999999999999, \"' || repeat('[', 1000) || '\"]')::json",
        "vector": "array_fill(1, ARRAY[1000])::vector",
    }.items()
]


def ordinary_samples() -> Iterator[Sample]:
    """Yield all values of all types, and arrays of them: with one dimension, with two, and empty."""
    for name, values in (BUILT_IN | OWN).items():
        scalars = [Sample(name, f'{quote(literal)}::"{name}"', sent) for literal, sent in values.items()]
        yield from scalars
        if name not in WITHOUT_ARRAYS:
            null = Sample(name, f'NULL::"{name}"', "null")
            line = [*scalars, null]
            yield array(name, line)
            yield Sample(f"{name}[]", *nested([array(name, line), array(name, line[::-1])]))
            yield Sample(f"{name}[]", "'{}'", "[]")


def array(name: str, elements: Sequence[Sample]) -> Sample:
    """Return a sample whose value is an array of samples."""
    return Sample(f"{name}[]", *nested(elements))


def nested(elements: Sequence[Sample]) -> tuple[str, str]:
    """Return an array of samples in SQL and in JSON."""
    sql = ", ".join(element.sql for element in elements)
    return f"ARRAY[{sql}]", f"[{','.join(str(element.outcome) for element in elements)}]"


def numbered(samples: Sequence[Sample]) -> dict[str, Sample]:
    """Return the samples by ids that contain their types."""
    seen: Counter[str] = Counter()
    named = {}
    for sample in samples:
        seen[sample.column] += 1
        named[f"{sample.column} {seen[sample.column]}"] = sample
    return named


SAMPLES = numbered([*ordinary_samples(), *LONGEST, *REFUSED_BY_US, *REFUSED_BY_CUSTOMERIO])
REFUSED = {id_: sample.outcome for id_, sample in SAMPLES.items() if isinstance(sample.outcome, Refusal)}
QUERY = "SELECT * FROM samples; -- with a comment behind"


@pytest.fixture
def samples(database: Database) -> Database:
    """Return a database with all samples in a table."""
    database.execute(OWN_TYPES)
    types = {name: f'"{name}"' for name in BUILT_IN | OWN}
    types |= {f"{name}[]": f'"{name}"[]' for name in types if name not in WITHOUT_ARRAYS}
    columns = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
    rows = (
        f'INSERT INTO samples (id, "{sample.column}") VALUES ({quote(id_)}, {sample.sql});'
        for id_, sample in SAMPLES.items()
    )
    database.execute(f"CREATE TABLE samples (id text, {columns}); {''.join(rows)}")
    database.execute(f"ALTER DATABASE {database.name} SET timezone = 'UTC'")
    return database


class SentOperation(msgspec.Struct):
    """The identifiers of an operation, and its attributes as they were sent."""

    identifiers: dict[str, str]
    attributes: dict[str, msgspec.Raw]


class Recorder(DryRun):
    """A workspace that accepts and keeps every operation."""

    def __init__(self) -> None:
        self.sent: dict[str, dict[str, str]] = {}

    def send_batch(self, operations: Sequence[bytes]) -> list[RejectedOperation]:
        """Keep the attributes of each operation."""
        self.requests += 1
        for body in operations:
            operation = msgspec.json.decode(body, type=SentOperation)
            values = {name: bytes(value).decode() for name, value in operation.attributes.items()}
            self.sent[operation.identifiers["id"]] = values
        return []


def test_every_type_of_postgres_has_samples_and_a_line_in_the_docs(database: Database) -> None:
    """This fails for a new type of a newer Postgres, until it has samples and a line in the docs."""
    # A column cannot have a pseudo type. The row types of Postgres's own tables are composite types like any
    # other.
    types = database.connection.execute("""
        SELECT typname, format_type(oid, NULL), typarray = 0 FROM pg_type t
        WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype NOT IN ('p', 'c')
        AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)
    """).fetchall()
    assert {name for name, _, _ in types} == BUILT_IN.keys()
    assert {name for name, _, without_array in types if without_array} == WITHOUT_ARRAYS
    docs = (Path(__file__).parents[2] / "docs/values.md").read_text()
    assert [name for name, alias, _ in types if f"`{name}`" not in docs and f"`{alias}`" not in docs] == []


@pytest.mark.usefixtures("samples")
def test_values_of_all_types_are_sent_as_what_they_are(run: RunQuery) -> None:
    """The JSON of every value is exact, NULL is null, and only rows that cannot be sent are rejected."""
    recorder = Recorder()
    done = run(QUERY, recorder)
    refused = {r.identifier: Refusal(r.field, r.reason) for r in done.rejections}
    assert refused.items() <= REFUSED.items()
    assert len(refused) == len(REFUSED_BY_US)
    for id_, sample in SAMPLES.items():
        if id_ not in REFUSED:
            values = recorder.sent[id_]
            assert values.pop(sample.column) == sample.outcome, id_
            assert set(values.values()) == {"null"}, id_


@pytest.mark.usefixtures("samples")
def test_every_value_arrives_or_is_in_the_report(run: RunQuery, workspace: LocalWorkspace) -> None:
    """A rejected row causes no other rejection and no additional request, and the counts add up."""
    recorder = Recorder()
    run(QUERY, recorder)
    done = run(QUERY, workspace.client(max_concurrent_requests=1))
    assert done.summary.status is Status.SOME_ROWS_FAILED
    counts = {"read": len(SAMPLES), "imported": len(SAMPLES) - len(REFUSED), "failed": len(REFUSED)}
    assert done.summary.as_dict()["queries"] == {"people": counts}
    assert done.summary.requests == recorder.requests
    assert {r.identifier: Refusal(r.field, r.reason) for r in done.rejections} == REFUSED
    assert all(r.values[SAMPLES[r.identifier].column] for r in done.rejections)
    found = workspace.attributes(list(SAMPLES))
    assert found.keys() == SAMPLES.keys() - REFUSED.keys()
    for id_, attributes in found.items():
        sample = SAMPLES[id_]
        expected = read_exactly(str(sample.outcome))
        kept = attributes.pop(sample.column, None)
        # A workspace stores text: nested values and booleans as their JSON.
        assert (read_exactly(kept) if isinstance(expected, (list, bool)) else kept) == expected, id_
        assert attributes.keys() == {"id", "cio_id"}


def read_exactly(text: str) -> Any:
    """Parse JSON, and keep the digits of numbers and the order and duplicates of members."""
    return json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=list)


def test_times_may_be_iso_8601(run: RunQuery) -> None:
    """With `timestamps: iso`, times are text in UTC. Outside the years of ISO 8601 they are Unix seconds."""
    times = {
        "date '2024-02-29'": '"2024-02-29"',
        "date '0001-01-01'": '"0001-01-01"',
        "date '0001-12-31 BC'": "-62135683200",
        "date '9999-12-31'": '"9999-12-31"',
        "date '10000-01-01'": "253402300800",
        "date 'infinity'": "null",
        "timestamp '2024-02-29 12:00:00'": '"2024-02-29T12:00:00Z"',
        "timestamp '1969-12-31 23:59:59.5'": '"1969-12-31T23:59:59.500000Z"',
        "timestamptz '2024-01-01 01:00:00.5+01'": '"2024-01-01T00:00:00.500000Z"',
        "timestamptz '9999-12-31 23:59:59.999999+00'": '"9999-12-31T23:59:59.999999Z"',
        "timestamptz '10000-01-01 00:00:00+00'": "253402300800",
        "timestamptz '-infinity'": "null",
        "ARRAY[timestamptz '2024-01-01 00:00:00+00', NULL]": '["2024-01-01T00:00:00Z",null]',
    }
    recorder = Recorder()
    columns = (f"{literal} AS t{number}" for number, literal in enumerate(times))
    run(f"SELECT 'iso' AS id, {', '.join(columns)}", recorder, timestamps="iso")
    assert dict(zip(times, recorder.sent["iso"].values(), strict=True)) == times


def test_rows_within_a_row_are_text(database: Database, run: RunQuery) -> None:
    """A query can select records, which a column of a table cannot contain, and whole rows of a table."""
    database.execute("CREATE TABLE t AS SELECT 7 AS n, 'a b' AS v")
    recorder = Recorder()
    run("SELECT 'r' AS id, ROW(1, 'a', NULL) AS r, ARRAY[ROW(1, 'a'), NULL] AS rs, t FROM t", recorder)
    assert recorder.sent["r"] == {"r": '"(1,a,)"', "rs": '["(1,a)",null]', "t": '"(7,\\"a b\\")"'}
