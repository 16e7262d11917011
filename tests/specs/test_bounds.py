"""Bounds of a spec: a file that is nested too deeply, repeats too much, or is too long is refused at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_cio.specs.problems import MAX_PROBLEMS
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from tests.specs.conftest import Folder

DEEP = "is nested more than 100 levels deep"
MANY = "has more than 20,000 keys and values"
#: 60 kB of each ended or stopped a process that used PyYAML's composer.
REFUSED = {
    "[": ("[" * 60_000, DEEP),
    "closed": ("[" * 30_000 + "]" * 30_000, DEEP),
    "pairs": ("{a: " * 20_000, DEEP),
    "- ": ("- " * 30_000, DEEP),
    "a block": ("".join(f"{' ' * depth}a:\n" for depth in range(300)), DEEP),
    "mixed": ("a: " + "[{b: " * 10_000, DEEP),
    "below a value": (GOOD + "tags: " + "[" * 60_000, DEEP),
    "below an anchor": (GOOD + "tags: &a " + "[" * 60_000, DEEP),
    "in quotes below": (GOOD + "'tags': " + "[" * 60_000, DEEP),
    "a deep alias": (
        "a:\n" + "".join(f"- &a{n} {'[' * 40}{f'*a{n - 1}' if n else ''}{']' * 40}\n" for n in range(9)),
        "is nested more than 100 levels deep by this alias",
    ),
    "? ": ("? " * 30_000, "a key must be a text"),
    "merges": (
        GOOD
        + "tags:\n- &m0 {x: 1}\n"
        + "".join(f"- &m{n} {{<<: [{','.join([f'*m{n - 1}'] * 10)}]}}\n" for n in range(1, 10)),
        MANY,
    ),
    "laughs": (
        GOOD
        + "tags:\n- &m0 [x]\n"
        + "".join(f"- &m{n} [{','.join([f'*m{n - 1}'] * 10)}]\n" for n in range(1, 10)),
        MANY,
    ),
    "merges of a large mapping": (
        GOOD + f"tags:\n- &m {{{','.join(f'k{n}: 1' for n in range(5000))}}}\n" + "- <<: *m\n" * 5000,
        MANY,
    ),
    "itself": (GOOD + "tags: &a [*a]\n", "this alias is inside the value that it repeats"),
    "itself, merged": (GOOD + "tags: &a {<<: *a}\n", "this alias is inside the value that it repeats"),
    "a merge of a text": (GOOD + "tags: {<<: x}\n", "<< in this mapping needs a mapping"),
    "50,000 unknown keys": (GOOD + "".join(f"k{n}: 1\n" for n in range(50_000)), MANY),
    "50,000 keys twice": (GOOD + "k: 1\n" * 50_000, MANY),
    "digits": (GOOD + f"retries: 0x{'1' * 900_000}\n", "is a number of more than 100 characters"),
    "decimal digits": (GOOD + f"retries: {'1' * 900_000}\n", "is a number of more than 100 characters"),
    "base 60": (GOOD + f"retries: {'1:' * 300_000}1\n", "is a number of more than 100 characters"),
    "%TAG": (
        "".join(f"%TAG !e{n}! e\n" for n in range(20_000)) + "--- a",
        "has more than 10 %TAG directives",
    ),
    "entries": (GOOD + f"tags: [{'a,' * 9_000}]\n", "tags: has more than 100 entries"),
    "notifiers": (
        GOOD + f"on_failure: [{'{notifier: a.B},' * 3_000}]\n",
        "on_failure: has more than 100 entries",
    ),
    "a query": (GOOD.replace("id FROM", f"{'1,' * 80_000} id FROM"), "has more than 150,000 characters"),
    "templates": (
        GOOD.replace("id FROM", "{{ var.value.a }} " * 5_000),
        "has more than 5,000 characters between",
    ),
    "a deep expression": (GOOD.replace("id FROM", f"{{{{ {'(' * 4_900} }}}}"), "is nested too deeply"),
    "a long number": (GOOD.replace("id FROM", f"{{{{ {'9' * 4_500} }}}}"), "has a number that is too long"),
    # Parts of YAML that a spec does not need
    "a set": (GOOD + "tags: !!set {a, b}\n", "a tag, such as !!set, is not allowed"),
    "an omap": (GOOD + "tags: !!omap [a: b]\n", "a tag, such as !!set, is not allowed"),
    "Python": (GOOD + "owner: !!python/name:os.system x\n", "a tag, such as !!binary, is not allowed"),
    "binary": (GOOD + "owner: !!binary aGVsbG8=\n", "a tag, such as !!binary, is not allowed"),
    "an own tag": (GOOD + "owner: !secret x\n", "a tag, such as !!binary, is not allowed"),
    "two documents": (GOOD + "---\nname: b\n", "has a second document"),
    "a key that is a list": (GOOD + "? [a]\n: 1\n", "a key must be a text"),
    "a key that is an alias": (GOOD + "tags: [&t a]\n*t : 1\n", "an alias cannot be a key"),
    "an alias to nothing": (GOOD + "tags: [*t]\n", "this alias has no anchor above it"),
    "merged at the top": (GOOD + "<<: {owner: a}\n", "put shared keys into defaults.yaml"),
    "a NUL": (GOOD + "owner: a\0b\n", "has the character U+0000"),
    "a surrogate": (GOOD + 'owner: "\\ud800"\n', "is not YAML: "),
    # Values that do not exist
    "a time zone": (GOOD + "start_date: 2001-12-14t21:59:43.10-99:99\n", "is not a valid timestamp"),
    "a day": (GOOD + "start_date: 2026-02-30\n", "is not a valid timestamp"),
    "0x_": (GOOD + "retries: 0x_\n", "is not a valid int"),
    "!!bool": (GOOD + "spread: !!bool maybe\n", "is not a valid bool"),
    "infinity": (GOOD + "retries: .inf\n", "retries must be a whole number"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_beyond_a_bound_is_refused(folder: Folder, kind: str) -> None:
    """The message names the bound. Refusing the file takes little time, memory and stack."""
    text, message = REFUSED[kind]
    assert message in "\n".join(folder.problems(text))


def test_anchors_aliases_and_merge_keys_may_be_used(folder: Folder) -> None:
    """They work as in YAML: a key of the mapping itself takes precedence, then the first merged mapping."""
    text = (
        "name: a\nworkspace: &w production\npostgres_conn_id: *w\n"
        "objects: &o {query: SELECT 1, object_type_id: '1'}\n"
        "relationships: {<<: [{object_type_id: '2'}, *o], query: SELECT 2}\n"
    )
    spec = folder.load(text)
    assert spec.relationships
    assert (spec.postgres_conn_id, spec.relationships.query) == ("production", "SELECT 2")
    assert spec.relationships.object_type_id == "2"


def test_of_very_many_mistakes_the_first_are_listed(folder: Folder) -> None:
    """The first 20 problems are listed, with the number of the others."""
    problems = folder.problems(GOOD + "".join(f"k{n}: 1\n" for n in range(5_000)))
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[0] == "spec.yaml:1:1: 4,980 more problems are not listed: fix the others first"


def test_long_words_are_cut(folder: Folder) -> None:
    """The message about a word of a megabyte is short enough to read."""
    for text in (f"? {'k' * 900_000}\n: 1\n", f"timezone: {'z' * 900_000}\n", f"nulls: {'n' * 900_000}\n"):
        assert max(map(len, folder.problems(GOOD + text))) < 1_000
