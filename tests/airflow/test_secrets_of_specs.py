"""Airflow never displays the arguments of a notifier, whatever the YAML looks like."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_cio.dag_factory import build_dags
from airflow_provider_cio.specs import SpecFolder
from airflow_provider_cio.specs.effective import effective_yaml
from tests.airflow.test_cli import GOOD

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "xoxb-hush"
NOTIFIER = "airflow.sdk.BaseNotifier"
ENTRY = f"notifier: {NOTIFIER}, arguments: {{context: {TOKEN}}}"
ANCHORED = f"[{{notifier: {NOTIFIER}, arguments: {{context: &t {TOKEN}}}}}]"
LISTED = f"- notifier: {NOTIFIER}\n  arguments:\n    context: {TOKEN}\n"

#: Valid specs, by how the notifier is written.
USABLE = {
    "block": f"on_failure:\n{LISTED}",
    "indented by one": f"on_failure:\n - notifier: {NOTIFIER}\n   arguments:\n    context: {TOKEN}\n",
    "flow": f"on_failure: [{{{ENTRY}}}]\n",
    "flow over lines": f"on_failure: [\n{{{ENTRY}\n}}]\n",
    "escaped key": f'"on_fail\\x75re": [{{{ENTRY}}}]\n',
    "quoted key": f"'on_failure':\n{LISTED}",
    "key with a question mark": f"? on_failure\n: [{{{ENTRY}}}]\n",
    "tagged key": f"!!str on_failure: [{{{ENTRY}}}]\n",
    "comment": f"# {TOKEN}\nowner: growth # {TOKEN}\n",
    "anchor": f"on_failure: &n [{{{ENTRY}}}]\non_success: *n\n",
    "anchor of the token": f"on_failure: [{{notifier: {NOTIFIER}, arguments: {{context: &t {TOKEN}}}}}, "
    f"{{notifier: {NOTIFIER}, arguments: {{context: *t}}}}]\n",
    "merge key": f"on_failure: [&n {{{ENTRY}}}, {{<<: *n}}]\n",
    "folded": f"on_failure:\n- notifier: {NOTIFIER}\n  arguments:\n    context: >\n     {TOKEN}\n",
    "skipped": f"on_skipped:\n{LISTED}",
}

#: Broken specs, each with a mistake near the token.
BROKEN = {
    # mistakes in YAML
    "a line that is not YAML": f"on_failure: [{{{ENTRY}: {TOKEN}}}]\n",
    "an open quote": f"on_failure: [{{notifier: a.B, arguments: {{context: '{TOKEN}}}}}]\n",
    "a bad escape": f'on_failure: [{{notifier: a.B, arguments: {{context: "{TOKEN}\\q"}}}}]\n',
    "a tab": f"on_failure:\n\t- context: {TOKEN}\n",
    "an alias without an anchor": f"on_failure: *{TOKEN}\n",
    "an anchor without a value": f"on_failure: &{TOKEN}\n",
    "an own tag": f"on_failure: !{TOKEN} x\n",
    "a directive": f"%{TOKEN}\n---\n",
    "a star": f"on_failure: [{{{ENTRY}, x: *{TOKEN}}}]\n",
    "a control character": f"on_failure: [{{notifier: a.B, arguments: {{context: {TOKEN}\x01}}}}]\n",
    "too deep": f"on_failure: [{{notifier: a.B, arguments: {{context: {TOKEN}, x: {'[' * 200}}}}}]\n",
    # keys twice
    "a key twice": f"on_failure: [{{notifier: a.B, notifier: a.C, arguments: {{context: {TOKEN}}}}}]\n",
    "the token as a key, twice": f"on_failure: [{{notifier: a.B, arguments: {{{TOKEN}: 1, {TOKEN}: 2}}}}]\n",
    "on_failure twice": f"on_failure: [{{{ENTRY}}}]\non_failure: [{{{ENTRY}}}]\n",
    # mistakes in the notifier
    "an unknown notifier": f"on_failure: [{{notifier: a.B, arguments: {{context: {TOKEN}}}}}]\n",
    "the token as notifier": f"on_failure: [{{notifier: {TOKEN}}}]\n",
    "the token instead of a list": f"on_failure: {TOKEN}\n",
    "the token in the list": f"on_failure: [{TOKEN}]\n",
    "the token as arguments": f"on_failure: [{{notifier: {NOTIFIER}, arguments: {TOKEN}}}]\n",
    "the token as an argument's name": f"on_failure: [{{notifier: {NOTIFIER}, arguments: {{{TOKEN}}}}}]\n",
    "the token as a key": f"on_failure: [{{notifier: {NOTIFIER}, {TOKEN}: 1}}]\n",
    "a mapping": f"on_failure: {{{ENTRY}}}\n",
    "a wrong key": f"on_failure: [{{notifier: {NOTIFIER}, argument: {{context: {TOKEN}}}}}]\n",
    "an unknown argument": f"on_failure: [{{notifier: {NOTIFIER}, arguments: {{contxt: {TOKEN}}}}}]\n",
    # mistakes elsewhere
    "on the same line": f"schedule: {{every: 50 minutes}} # {TOKEN}\n",
    "a misspelt key": f"on_failur: [{{{ENTRY}}}]\n",
    "a key in capitals": f"ON_FAILURE: [{{{ENTRY}}}]\n",
    "an unknown key": f"x: &t {TOKEN}\n",
    "its alias elsewhere": f"on_failure: {ANCHORED}\nnulls: *t\n",
    "its alias as an owner": f"on_failure: {ANCHORED}\nowner: *t\n",
    "its alias as a key": f"on_failure: {ANCHORED}\n*t : 1\n",
    "merged at the top": f"<<: {{on_failure: [{{{ENTRY}}}], nulls: drop}}\n",
    "below another key": f"  on_failure: [{{{ENTRY}}}]\n",
    "below another key, merged": f"  <<: {{on_failure: [{{{ENTRY}}}]}}\n",
    "below a schedule": f"schedule: {{every: 1 hour, on_failure: [{{{ENTRY}}}]}}\n",
    "in a list of a mapping": f"tags: [{{on_failure: {TOKEN}}}]\n",
    "instead of a text": f"nulls: {{on_failure: {TOKEN}}}\n",
    "instead of a mapping": f"schedule: [{{on_failure: {TOKEN}}}]\n",
    "two documents": f"---\non_failure: [{{{ENTRY}}}]\n",
}


@pytest.fixture
def visible(tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Visible:
    return Visible(tmp_path, caplog, capsys)


class Visible:
    """Everything that Airflow stores of the DAGs of a folder, and everything that is printed."""

    def __init__(
        self, folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._caplog = caplog
        self._capsys = capsys

    def of(self, text: str, *, defaults: str = "") -> tuple[str, set[str]]:
        """Build the DAG of a spec. Return everything that a user can see, and the tags of the DAG."""
        (self.folder / "a.yaml").write_text(text)
        (self.folder / "defaults.yaml").write_text(defaults)
        with self._caplog.at_level(logging.DEBUG):
            (dag,) = build_dags(self.folder).values()
        out, err = self._capsys.readouterr()
        return json.dumps(DagSerialization.to_dict(dag)) + self._caplog.text + out + err, set(dag.tags)


@pytest.mark.parametrize("where", ["spec", "defaults"])
@pytest.mark.parametrize("spelling", USABLE)
def test_arguments_of_a_notifier_are_not_displayed(visible: Visible, spelling: str, where: str) -> None:
    """The docs are built from the parsed spec. They contain the class of the notifier and nothing else."""
    more = USABLE[spelling]
    text, tags = visible.of(GOOD + more) if where == "spec" else visible.of(GOOD, defaults=more)
    assert "spec-error" not in tags, text
    assert TOKEN not in text
    assert (NOTIFIER in text) is ("comment" not in spelling)


@pytest.mark.parametrize("where", ["spec", "line", "defaults"])
@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_beside_a_secret_does_not_reveal_it(visible: Visible, mistake: str, where: str) -> None:
    """The message has a position. It quotes the line only if nothing on the line can be a secret."""
    more = BROKEN[mistake]
    if where == "defaults":
        text, tags = visible.of(GOOD, defaults=more)
    elif where == "line" and not more.startswith(("%", " ", "---")):
        text, tags = visible.of(GOOD + "nulls: drop\n" + more + "retries: two\n")
    else:
        text, tags = visible.of(more + GOOD if more.startswith("%") else GOOD + more)
    # Two of these are not mistakes in a file of defaults.
    assert "spec-error" in tags or (where == "defaults" and more.startswith((" ", "---")))
    assert TOKEN not in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("schedule: {assets: ['postgres://u:{}@h/db/s/t']}", "schedule.assets.0: has a password"),
        ("schedule: {assets: ['s3://u:{}@b/k']}", "has a password"),
        ("owner_links: {a: 'https://u:{}@h/x'}", "owner_links.a: has a password"),
        ("customerio_conn_id: 'customerio://u:{}@h'", "customerio_conn_id: is a URI"),
        ("customerio_conn_id: 'customerio://u:{}@h'\nnulls: drop", "nulls cannot be drop"),
    ],
)
@pytest.mark.parametrize("where", ["spec", "defaults"])
def test_credentials_in_a_uri_are_refused_and_not_displayed(
    visible: Visible, more: str, message: str, where: str
) -> None:
    """Airflow displays assets, links and ids of connections to every user who can read the DAG."""
    more = more.replace("{}", TOKEN)
    text, tags = visible.of(GOOD + more) if where == "spec" else visible.of(GOOD, defaults=more)
    assert "spec-error" in tags
    assert message in text
    assert TOKEN not in text


def test_a_text_before_an_at_sign_can_be_something_else_than_a_password(visible: Visible) -> None:
    """In the URIs of object stores, it is a container or the id of a connection."""
    uris = "[abfss://container@account.dfs.core.windows.net/a, s3://aws_default@bucket/a]"
    _, tags = visible.of(GOOD + f"schedule: {{assets: {uris}}}\nowner_links: {{a: 'mailto:a@example.com'}}\n")
    assert "spec-error" not in tags


def test_a_line_with_a_mistake_and_a_secret_is_not_quoted(visible: Visible) -> None:
    """A spec in JSON can be one line."""
    content = {
        "name": "a",
        "workspace": "w",
        "postgres_conn_id": "c",
        "people": {"query": "SELECT 1"},
        "nulls": "drop",
    }
    text, _ = visible.of(json.dumps(content))
    assert "nulls cannot be drop" in text
    assert "^^^^" in text
    text, _ = visible.of(
        json.dumps({**content, "on_failure": [{"notifier": "a.B", "arguments": {"x": TOKEN}}]})
    )
    assert "nulls cannot be drop" in text
    assert TOKEN not in text


@pytest.mark.parametrize(
    "text",
    [
        "name: [1]\non_failure: [{{notifier: a.B, arguments: {{\nname: {}\n}}}}]\n",
        "on_failure: [{{notifier: a.B, arguments: {{\nname: {}\n}}}}\n",
        'on_failure:\n- notifier: a.B\n  arguments:\n    x: "\nname: {}\n"\n[',
        "on_failure: {{arguments: {{\nworkspace: {}\n}}}}\nname: a\n]",
    ],
)
def test_an_argument_that_looks_like_a_name_is_not_used_in_the_dag_id(visible: Visible, text: str) -> None:
    """Names are read only from the top level of a file, whether or not the file is YAML."""
    text, tags = visible.of(text.format("hush_hush") + "workspace: production\n")
    assert "spec-error" in tags
    assert "hush" not in text


HOSTILE = """
import sys
from airflow.sdk import BaseNotifier

class Plain(BaseNotifier):
    def notify(self, context): ...

class Exits(Plain):
    def __init__(self, token): sys.exit(token)

class Ends(Plain):
    def __init__(self, token): raise GeneratorExit(token)

class Refuses(Plain):
    def __init__(self, token): raise ValueError(f"bad token {token}")

class Unspeakable(Exception):
    def __str__(self): raise RuntimeError("no")

class Silent(Plain):
    def __init__(self, token): raise Unspeakable

class Hidden(Plain):
    def __init__(self, token=""): super().__init__()
    def __repr__(self): raise RuntimeError("no repr")
    __str__ = __repr__

def __getattr__(name): raise RuntimeError(name)
"""


@pytest.mark.parametrize(
    ("notifier", "message"),
    [
        ("hostile.Exits", "Exits refuses these arguments: SystemExit"),
        ("hostile.Ends", "Ends refuses these arguments: GeneratorExit"),
        ("hostile.Refuses", "Refuses refuses these arguments: ValueError"),
        ("hostile.Silent", "Silent refuses these arguments: Unspeakable"),
        ("hostile.Missing", "hostile.Missing cannot be imported: RuntimeError"),
        ("exiting.Any", "exiting.Any cannot be imported: SystemExit"),
        ("wrong.Any", "wrong.Any cannot be imported: SyntaxError"),
        ("hostile.Hidden", ""),
    ],
)
def test_a_notifier_that_fails_breaks_only_its_own_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notifier: str, message: str
) -> None:
    """The message has the class of the exception, and not its text, which can quote an argument."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    (tmp_path / "exiting.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "wrong.py").write_text("class\n")
    (tmp_path / "syncs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("hostile", "exiting", "wrong"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "syncs" / "good.yaml").write_text(GOOD)
    notified = f"on_failure: [{{notifier: {notifier}, arguments: {{token: {TOKEN}}}}}]\n"
    (tmp_path / "syncs" / "notified.yaml").write_text(GOOD.replace("name: a", "name: notified") + notified)
    dags = build_dags(tmp_path / "syncs")
    assert "spec-error" not in dags["customerio.production.a"].tags
    broken = dags["customerio.production.notified"]
    assert ("spec-error" in broken.tags) is bool(message)
    assert message in (broken.doc_md or "")
    assert TOKEN not in json.dumps(DagSerialization.to_dict(broken))


@pytest.mark.parametrize(
    "text", ["```\n# Not a title", "a ```` b", "~~~\n<script>alert(1)</script>", "`" * 50]
)
def test_a_spec_stays_within_its_block_in_the_docs(tmp_path: Path, text: str) -> None:
    """Backticks in a query, a description or an owner do not end the block of code."""
    (tmp_path / "a.yaml").write_text(
        GOOD.replace("SELECT 1 AS id", json.dumps(f"SELECT 1 -- {text}"))
        + f"description: {json.dumps(text)}\npostgres_conn_id: {json.dumps(text)}\n".replace(
            "postgres_conn_id", "owner"
        )
    )
    (dag,) = build_dags(tmp_path).values()
    assert "spec-error" not in dag.tags
    lines = str(dag.doc_md).splitlines()
    fence = next(line for line in lines if line.startswith("```") and line.endswith("yaml")).removesuffix(
        "yaml"
    )
    begin = lines.index(f"{fence}yaml")
    assert lines.index(fence, begin + 1) == len(lines) - 1
    assert all(line.startswith(">") for line in lines[: text.count("\n") + 1])


def test_a_broken_spec_stays_within_its_block_in_the_docs(tmp_path: Path) -> None:
    """A quoted line can contain backticks too."""
    (tmp_path / "a.yaml").write_text(GOOD + 'nulls: "````"\n')
    (dag,) = build_dags(tmp_path).values()
    assert str(dag.doc_md).count("`````") == 2


@pytest.mark.parametrize(
    "value",
    [
        "on",
        "1",
        "a: b",
        "a #b",
        "é",
        "💥",
        " a",
        "a ",
        "",
        "'",
        '"',
        "\\",
        "a\nb",
        "a\n\n",
        "\na",
        "a\n b\n",
        "  a\nb",
        "\t",
        "a\tb",
        "a\rb\n",
        "a\x85b",
        "\u2028",
        "\ufeff",
        "\x7f",
        "- a",
        "? a",
        "{{ a }}",
        "#",
        "null",
        "~",
        "*a",
        "a:",
        "a\n\n\nb",
        "a \nb",
        "0x1",
        "1_000",
        "2026-01-01",
        "=",
        "<<",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ],
)
def test_the_effective_spec_has_the_same_values(tmp_path: Path, value: str) -> None:
    """Loading the effective spec returns the same values, whatever characters they have."""
    path = tmp_path / "a.yaml"
    written, key = (json.dumps(text, ensure_ascii=value != "💥") for text in (value, value or "a"))
    path.write_text(GOOD + f"description: {written}\nowner_links: {{{key}: 'mailto:a'}}\nowner: {key}\n")
    spec = SpecFolder(tmp_path).load(path)
    path.write_text(effective_yaml(spec))
    again = SpecFolder(tmp_path).load(path)
    assert again.description == spec.description
    assert (again.owner, again.owner_links) == (spec.owner, spec.owner_links)
