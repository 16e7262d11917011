"""Mutants of specs: whatever a file contains, the DAG beside it stays, within a second and 200 MB.

``python -m torture.mutants --seed N [--count M] [--only I]`` replays a run, or one mutant of it. Each mutant
is a spec with damaged bytes, lines or structure, or a file that has crashed other parsers. It is in a folder
with a valid spec, and the factory builds both. Batches run in separate processes, so that a crash is
detected.

Longer than 300 lines, because half of the file is data from which mutants are made.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from torture.scenario import BrokenPromiseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torture.scenario import Trial

_COUNT = 10_000
_SHORT = 200
_BATCH = 500
#: Limits of a mutant: CPU seconds, because other processes run too, and memory above an idle process.
_SECONDS = 1.0
_MEGABYTES = 200
#: Seconds after which a hanging mutant is killed.
_HANGS = 30
_SECRET = "xoxb-hush-42"
_SIZE = 990_000

_GOOD = "name: good\nworkspace: production\npostgres_conn_id: warehouse\npeople:\n  query: SELECT 1 AS id\n"
_SPECS = (
    f"""\
name: mutant
on_failure:
- notifier: airflow.providers.smtp.notifications.smtp.SmtpNotifier
  arguments:
    to: ann@example.com
    html_content: {_SECRET}
workspace: production
postgres_conn_id: warehouse
schedule: {{every: 30 minutes}}
overlap: 5 minutes
tags: [crm, growth]
people:
  identify_by: id
  segment: {{name: Active people}}
  query: |
    SELECT id, email, plan
    FROM people -- who are active
    WHERE updated_at >= to_timestamp({{{{ last_sync_time }}}}) AND plan <> 'it''s; free'
""",
    f"""\
{{"name": "mutant", "workspace": "production",
"postgres_conn_id": "warehouse", "retries": 3,
"on_success": [{{"notifier": "airflow.sdk.BaseNotifier", "arguments": {{"context": "{_SECRET}"}}}}],
"owner_links": {{"growth": "mailto:growth@example.com"}},
"timezone": "Europe/Berlin", "start_date": 2026-01-01,
"objects": {{"object_type_id": "1", "query": "SELECT 1 AS object_id"}},
"relationships": {{"query": "WITH a AS (SELECT 1) SELECT * FROM a", "identify_by": "email"}}}}
""",
    f"""\
name: mutant
"on_fail\\x75re": [&n {{notifier: a.B, arguments: {{token: &t {_SECRET}}}}},
  *n, {{notifier: a.C, arguments: {{x: *t}}}}]
workspace: production
postgres_conn_id: warehouse
schedule: "*/30 * * * *"
people:
  query_file: people.sql
""",
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    float("inf"),
    float("nan"),
    "",
    " ",
    "\0",
    "\x85",
    "\u2028",
    "\ufeff",
    "é",
    "💥",
    "a" * 10_000,
    "`" * 10,
    "```\n# h",
    "{{ a }}",
    "{{",
    "{% raw %}",
    "{#",
    "{% include 'x' %}",
    "'{{1,2},{3,4}}'",
    "people.sql",
    "../people.sql",
    "/etc/passwd",
    "x\ny.sql",
    "SELECT 1; SELECT 2",
    "DELETE FROM people",
    "R * * * *",
    "@daily",
    "0 0 30 2 *",
    "<script>",
    [],
    {},
    [[[]]],
    {"a": {"b": {}}},
    ["a", 1, None],
    {"on_failure": _SECRET},
)
_SNIPPETS = (
    b"[",
    b"{",
    b"]",
    b"}",
    b"- ",
    b"? ",
    b": ",
    b"&a ",
    b"*a ",
    b"<<: *a\n",
    b"!!set ",
    b"!!python/object:os.system ",
    b"\t",
    b"\0",
    b"\r",
    b"\x85",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"'",
    b'"',
    b"|",
    b">",
    b"#",
    b"%TAG ! x\n",
    b"---\n",
    b"...\n",
    b"{{",
    b"}}",
    b"{%",
    b";",
    b"$$",
    b"/*",
    b"--",
    b"\\x75",
    b"on_failure: ",
    b"`",
)


def _repeated(text: str) -> str:
    return text * (_SIZE // len(text))


def _levels(head: str, form: str) -> str:
    """Return YAML of nine levels, each of which contains the level below ten times."""
    levels = [
        f"a{level}: &a{level} {{{form.format(','.join([f'*a{level - 1}'] * 10))}}}\n"
        for level in range(1, 10)
    ]
    return f"{head}a0: &a0 {{x: 1}}\n{''.join(levels)}"


def _bombs() -> dict[str, Callable[[], str]]:
    """Return files that have crashed or slowed other parsers, by name."""
    head = _GOOD.replace("good", "mutant")
    tens = {"merge": "<<: [{}]", "laughs": "a: [{}]"}
    bombs = {
        name: partial(_repeated, text)
        for name, text in {
            "brackets": "[",
            "braces": "{",
            "dashes": "- ",
            "questions": "? ",
            "pairs": "{a: ",
            "documents": "---\n",
            "comments": "#\n",
            "breaks": "\n",
            "spaces": " ",
            "tabs": "\t",
            "tags": "%TAG !e! e\n",
        }.items()
    }
    bombs |= {name: partial(_levels, head, form) for name, form in tens.items()}
    return bombs | {
        "unknown keys": lambda: head + "".join(f"k{number}: 1\n" for number in range(50_000)),
        "keys twice": lambda: head + "k: 1\n" * 50_000,
        "indents": lambda: "".join(f"{' ' * depth}a:\n" for depth in range(1_300)),
        "itself": lambda: head + "tags: &a [*a]\n",
        "digits": lambda: head + f"retries: 0x{'1' * _SIZE}\n",
        "long key": lambda: head + f"? {'k' * _SIZE}\n: 1\n",
        "long word": lambda: head + f"timezone: {'z' * _SIZE}\n",
        "too large": lambda: head + "#" * 1_100_000,
        "aliases": lambda: (
            head + f"a: &a {{{','.join(f'k{n}: 1' for n in range(5_000))}}}\nb:\n" + "- <<: *a\n" * 5_000
        ),
        "quotes": lambda: head.replace("1 AS id", "'" * 149_000),
        "dollars": lambda: head.replace("1 AS id", "$a$ $b$ " * 18_000),
        "parentheses": lambda: head.replace("1 AS id", "(" * 149_000 + ";"),
        "braces in SQL": lambda: head.replace("1 AS id", "{{" * 70_000),
        "expression": lambda: head.replace("1 AS id", "{{ last_sync_time" + "+1" * 70_000 + " }}"),
    }


_BOMBS = _bombs()


def _special(path: Path, outside: Path, chance: random.Random) -> None:
    """Create a path that is not a regular file of the folder."""
    makers: tuple[Callable[[], object], ...] = (
        lambda: os.mkfifo(path),
        path.mkdir,
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path),
        lambda: path.symlink_to("nowhere"),
        lambda: path.symlink_to(outside),
        lambda: path.symlink_to(path.parent),
        lambda: path.symlink_to(path.parent.parent),
    )
    chance.choice(makers)()


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """Return the data with damaged bytes and lines."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.randint(1, 20))
        lines = data.split(b"\n")
        line = chance.randrange(len(lines))
        match chance.randrange(8):
            case 0:
                data = data[:start] + bytes([chance.randrange(256)]) + data[start + 1 :]
            case 1:
                data = data[:start] + data[end:]
            case 2:
                data = data[:end] + data[start:end] * chance.choice((1, 2, 500)) + data[end:]
            case 3 | 4:
                data = data[:start] + chance.choice(_SNIPPETS) + data[start:]
            case 5:
                lines[line] = b" " * chance.randint(1, 4) + lines[line]
                data = b"\n".join(lines)
            case 6:
                lines[line] = lines[line].lstrip()
                data = b"\n".join(lines)
            case _:
                lines.insert(chance.randrange(len(lines)), lines.pop(line))
                data = b"\n".join(lines)
    return data


def _rebuilt(text: str, chance: random.Random) -> bytes:
    """Return a spec with changed keys and values, written in another style."""
    content = yaml.safe_load(text)
    for _ in range(chance.randint(1, 3)):
        holder: Any = content
        while (inner := chance.choice(_values(holder) or [None])) and isinstance(inner, dict | list):
            holder = inner
            if chance.randrange(2):
                break
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            continue
        key = chance.choice(keys)
        if isinstance(holder, dict) and chance.randrange(3) == 0:
            holder[chance.choice((str(key).upper(), f"{key}s", "<<", "", key))] = holder.pop(key)
        else:
            holder[key] = deepcopy(chance.choice(_VALUES))
    style = chance.choice(("block", "flow", "json"))
    if style == "json":
        return json.dumps(content, default=str).encode(errors="replace")
    return yaml.safe_dump(content, default_flow_style=style == "flow", sort_keys=False).encode(
        errors="replace"
    )


def _values(holder: Any) -> list[Any]:
    return list(holder.values()) if isinstance(holder, dict) else list(holder)


def plant(folder: Path, seed: int, index: int) -> str:
    """Write a mutant and its other files. Returns the kind of the mutant."""
    chance = random.Random(f"{seed} {index}")  # the same whatever ran before
    path = folder / "mutant.yaml"
    outside = folder.parent / "outside.yaml"
    outside.write_text(f"name: {_SECRET}\n")
    (folder / "good.yaml").write_text(_GOOD)
    (folder / "people.sql").write_text("SELECT id FROM people\n")
    kind = chance.choices(
        ("bytes", "structure", "bomb", "special", "query", "defaults"), (50, 30, 2, 3, 8, 7)
    )[0]
    spec = chance.choice(_SPECS)
    if kind == "bytes":
        path.write_bytes(_damaged(spec.encode(), chance))
    elif kind == "structure":
        path.write_bytes(_rebuilt(spec, chance))
    elif kind == "bomb":
        name = chance.choice(sorted(_BOMBS))
        path.write_text(_BOMBS[name]())
        return f"bomb: {name}"
    elif kind == "special":
        _special(path, outside, chance)
    elif kind == "query":
        path.write_text(_SPECS[2].replace("a.B", "airflow.sdk.BaseNotifier"))
        (folder / "people.sql").unlink()
        if chance.randrange(2):
            _special(folder / "people.sql", outside, chance)
        else:
            query = "SELECT '{{ last_sync_time }}', E'\\'', $a$;$a$ /* /* */ */ FROM \"a;b\" -- c\n"
            (folder / "people.sql").write_bytes(_damaged(query.encode(), chance))
    else:  # the defaults of a folder without the valid spec
        path.unlink(missing_ok=True)
        (folder / "team").mkdir()
        (folder / "team" / "mutant.yaml").write_text(spec.replace("workspace: production\n", ""))
        if chance.randrange(2):
            _special(folder / "team" / "defaults.yaml", outside, chance)
        else:
            (folder / "team" / "defaults.yaml").write_bytes(
                _damaged(b"workspace: production\nowner: growth\n", chance)
            )
    return kind


def _problem_of(folder: Path) -> str:
    """Build the DAGs of a folder as Airflow does. Returns the problem, or an empty text."""
    from airflow.serialization.serialized_objects import DagSerialization  # noqa: PLC0415 - the parent needs no Airflow

    from airflow_provider_cio.dag_factory import build_dags  # noqa: PLC0415

    dags = build_dags(folder)
    good = dags.get("customerio.production.good")
    if not good or "spec-error" in good.tags:
        return "the DAG of the valid spec is missing"
    for dag_id, dag in dags.items():
        stored = json.dumps(DagSerialization.to_dict(dag), ensure_ascii=False)
        if "\0" in stored or r"\u0000" in stored:
            return f"{dag_id} contains a NUL, which Airflow's database cannot store"
        stored.encode()
        if _SECRET in stored and not _is_public(folder):
            return f"{dag_id} shows the secret"
    return ""


def _is_public(folder: Path) -> bool:
    """Return whether the damage moved the secret to a key that is shown, such as the query."""
    from airflow_provider_cio.specs.reader import read  # noqa: PLC0415
    from airflow_provider_cio.specs.yaml_errors import NotYamlError  # noqa: PLC0415

    for path in folder.rglob("mutant.yaml"):
        try:
            content = read(path.read_text(encoding="utf-8-sig"), ()).value
        except (NotYamlError, OSError, ValueError):
            return False
        visible = {
            key: content.get(key)
            for key in ("name", "workspace", "description", "owner", "owner_links", "tags", "schedule")
        }
        queries = [content.get(key) for key in ("people", "objects", "relationships")]
        if _SECRET in f"{visible}" or any(
            _SECRET in str(part.get("query")) for part in queries if isinstance(part, dict)
        ):
            return True
    return False


def _child(seed: int, start: int, stop: int) -> None:
    """Run a batch. Print a line for each mutant that breaks a promise, and finally the highest cost."""
    logging.disable(logging.CRITICAL)
    worst = 0.0
    baseline = 0
    for index in range(start, stop):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "syncs"
            folder.mkdir()
            kind = plant(folder, seed, index)
            print(json.dumps({"begins": index, "kind": kind}), flush=True)
            signal.alarm(_HANGS)
            try:
                if not baseline:  # do not count the imports
                    _problem_of(folder)
                    baseline = _peak()
                begun = time.process_time()
                problem = _problem_of(folder)
                taken = time.process_time() - begun
            except Exception as error:  # noqa: BLE001 - the factory must not raise anything
                problem, taken = f"{type(error).__name__}: {error}"[:300], 0.0
            signal.alarm(0)
            worst = max(worst, taken)
            if taken > _SECONDS:
                problem = problem or f"took {taken:.1f} s"
            if _peak() - baseline > _MEGABYTES:
                problem = problem or f"took {_peak() - baseline} MB"
                baseline = _peak()
            if problem:
                print(json.dumps({"index": index, "kind": kind, "problem": problem}), flush=True)
    print(json.dumps({"worst": worst, "megabytes": _peak() - baseline}), flush=True)


def _peak() -> int:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def check(seed: int, count: int, first: int = 0) -> str:
    """Run mutants in batches.

    Returns:
        The highest cost.

    Raises:
        BrokenPromiseError: The message lists the mutants that broke a promise. Replay them with ``--only``.
    """
    problems: list[str] = []
    worst, megabytes = 0.0, 0
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL"}
        for start in range(first, first + count, _BATCH):
            stop = min(start + _BATCH, first + count)
            arguments = [f"--seed={seed}", "--child", str(start), str(stop)]
            command = [sys.executable, "-m", "torture.mutants", *arguments]
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
            records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
            problems += [
                f"{each['index']} ({each['kind']}): {each['problem']}"
                for each in records
                if "problem" in each
            ]
            if done.returncode:
                last = next(
                    (each for each in reversed(records) if "begins" in each), {"begins": start, "kind": "?"}
                )
                problem = f"the process ended with {done.returncode}: {done.stderr[-300:]}"
                problems.append(f"{last['begins']} ({last['kind']}): {problem}")
                continue
            worst = max(worst, records[-1]["worst"])
            megabytes = max(megabytes, records[-1]["megabytes"])
    if problems:
        listed = "\n".join(problems[:20])
        raise BrokenPromiseError(f"{len(problems)} of {count} mutants, seed {seed}:\n{listed}")
    return f"{count:,} mutants; the slowest took {worst:.2f} s of CPU, the largest {megabytes} MB above idle"


def run(trial: Trial) -> str:
    """Run all mutants of a seed, or the first 200 in the short form."""
    return check(trial.seed, _SHORT if trial.short else _COUNT)


def main() -> None:
    """Run mutants from the command line."""
    parser = argparse.ArgumentParser(prog="python -m torture.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=_COUNT)
    parser.add_argument("--only", type=int, help="index of one mutant")
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.seed, *arguments.child)
        return
    print(f"seed {arguments.seed}")
    only = arguments.only
    try:
        print(check(arguments.seed, 1 if only is not None else arguments.count, only or 0))
    except BrokenPromiseError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
