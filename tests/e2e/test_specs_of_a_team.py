"""The specs of a team: broken specs, specs in Git, specs that wait for others, and lineage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git import Actor, Repo

from local.airflow import LocalAirflow
from local.postgres import LocalPostgres
from local.processes import wait_until
from local.workspace import EmulatedWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTORY = """\
from pathlib import Path
from airflow_provider_cio.dag_factory import build_dags
globals().update(build_dags(Path(__file__).parent / "syncs"))
"""
#: A factory in which our own code crashes for one spec.
CRASHING_FACTORY = """\
from pathlib import Path
from airflow_provider_cio.dag_factory import build

build_dag = build.build_dag

def crash(spec):
    if "crash" in spec.tags:
        raise RuntimeError("a bug")
    return build_dag(spec)

build.build_dag = crash
globals().update(build.build_dags(Path(__file__).parent / "crashing"))
"""
SPEC = """\
name: {name}
workspace: production
postgres_conn_id: warehouse
people:
  query: SELECT '{name}' AS id, 'first' AS edition
"""
#: OpenLineage's own parser finds no table in the first query: it does not read WITH and ROWS FROM.
CUSTOMERS = """\
name: customers
workspace: production
postgres_conn_id: warehouse
people:
  query: |
    WITH wanted AS (SELECT id, email FROM customers WHERE email <> 'internal@example.com')
    SELECT id, email, number FROM wanted, ROWS FROM (generate_series(1, 1)) AS numbers (number)
relationships:
  object_type_id: "1"
  query: SELECT customer AS id, company AS object_id FROM sales.contracts
"""
AUDIENCE = SPEC.format(name="audience") + "schedule: {assets: ['customerio://production/customers']}\n"
PLAIN = [f"plain_{number}" for number in range(8)]
GOOD = {f"customerio.production.{name}" for name in ("customers", "audience", *PLAIN)}

WRONG_KEY = "customerio.production.wrong_key"
NO_YAML = "customerio.production.no_yaml"
NAMELESS = "customerio_spec_error.nameless"
CRASHES = "customerio.production.crashes"
SURVIVOR = "customerio.production.survivor"
#: Broken DAG to its file, the text of the file, and the message.
BROKEN = {
    WRONG_KEY: (
        "syncs/wrong_key.yaml",
        SPEC.format(name="wrong_key") + "retrys: 3\n",
        "syncs/wrong_key.yaml:6:1: unknown key retrys: did you mean retries?",
    ),
    NO_YAML: (
        "syncs/no_yaml.yaml",
        SPEC.format(name="no_yaml").replace("query: ", "query: SELECT: "),
        "syncs/no_yaml.yaml:5:16: is not YAML: a text with",
    ),
    NAMELESS: (
        "syncs/nameless.yaml",
        SPEC.format(name="nameless").replace("name: nameless\n", ""),
        "syncs/nameless.yaml:1:1: name is missing",
    ),
    CRASHES: (
        "crashing/crashes.yaml",
        SPEC.format(name="crashes") + "tags: [crash]\n",
        "crashing/crashes.yaml: RuntimeError: a bug",
    ),
}
FIXED = {f"customerio.production.{Path(file).stem}" for file, _, _ in BROKEN.values()}

CHANGING = "customerio.production.changing"
STEADY = "customerio.production.steady"
BROKEN_IN_GIT = "customerio.production.broken_in_git"

ADDRESSES = ("ann@example.com", "ben@example,com")
#: A spec with all values whose order could differ between processes.
RICH = (
    SPEC.format(name="rich")
    + """\
  segment: {id: 7}
schedule: {every: 45 minutes}
spread: true
owner_links: {growth: "https://b.example.com", crm: "https://a.example.com"}
tags: [retention, crm, weekly, beta]
"""
)
#: Prints each DAG's id and the hash from which Airflow detects new versions.
HASHES = """\
import pathlib, sys
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
from airflow_provider_cio.dag_factory import build_dags
for dag_id, dag in build_dags(pathlib.Path(sys.argv[1])).items():
    print("HASH", dag_id, SerializedDagModel.hash(DagSerialization.to_dict(dag)))
"""


class Team:
    """Airflow with the specs of a team, in a folder and in a Git repository."""

    def __init__(
        self,
        folder: Path,
        postgres: LocalPostgres,
        workspace: EmulatedWorkspace,
        repository: Repo,
        airflow: LocalAirflow,
    ) -> None:
        self.folder = folder
        self.postgres = postgres
        self.workspace = workspace
        self.repository = repository
        self.airflow = airflow
        self.client = airflow.client

    def dags(self, **query: str) -> dict[str, dict[str, Any]]:
        """Return the list of DAGs, including stale ones."""
        found = self.client.request("GET", "/dags", exclude_stale=False, limit="100", **query)["dags"]
        return {dag["dag_id"]: dag for dag in found}

    def documentation(self, dag_id: str) -> str:
        """Return the docs of a DAG."""
        return str(self.client.request("GET", f"/dags/{dag_id}/details")["doc_md"])

    def versions(self, dag_id: str) -> int:
        """Return the number of a DAG's versions."""
        return int(self.client.request("GET", f"/dags/{dag_id}/dagVersions")["total_entries"])

    def start(self, dag_id: str, **conf: object) -> str:
        """Trigger a run and return its id."""
        self.client.unpause(dag_id)
        return self.client.trigger(dag_id, conf)

    def run(self, dag_id: str, *, state: str = "success", **conf: object) -> str:
        """Run a DAG, check the final state, and return the run's id."""
        run_id = self.start(dag_id, **conf)
        assert self.client.wait_for_run(dag_id, run_id) == state
        return run_id

    def commit(self, message: str) -> str:
        """Commit all files of the repository and return the commit's id."""
        self.repository.git.add(all=True)
        author = Actor("Ann", "ann@example.org")
        return self.repository.index.commit(message, author=author, committer=author).hexsha

    def lineage(self, job: str, run_id: str, event_type: str = "COMPLETE") -> dict[str, Any] | None:
        """Return the OpenLineage event of the end of a task. It is written after the run's state."""
        texts = [path.read_text() for path in self.folder.glob("lineage/*.json")]
        events = [json.loads(text) for text in texts if text.endswith("\n")]  # the others are incomplete
        for event in events:
            run = event["run"]["facets"].get("airflow", {}).get("dagRun", {})
            if (event["eventType"], event["job"]["name"], run.get("run_id")) == (event_type, job, run_id):
                return dict(event)
        return None


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Give all of it, with every DAG in the list."""
    folder = tmp_path_factory.mktemp("team")
    write_specs(folder / "dags")
    repository = Repo.init(folder / "repository", initial_branch="main")
    (folder / "lineage").mkdir()
    with LocalPostgres(folder) as postgres, EmulatedWorkspace() as workspace:
        with postgres.connect() as connection:
            connection.execute("CREATE TABLE customers (id text, email text)")
            connection.execute("CREATE SCHEMA sales")
            connection.execute("CREATE TABLE sales.contracts (customer text, company text)")
            connection.execute("INSERT INTO customers VALUES ('ann', 'ann@example.com')")
            connection.execute("INSERT INTO sales.contracts VALUES ('ann', 'acme')")
        airflow = LocalAirflow(
            folder / "airflow",
            dags_folder=folder / "dags",
            connections={
                "warehouse": postgres.airflow_connection(),
                "customerio_production": workspace.airflow_connection(),
            },
            environment={
                "AIRFLOW__CUSTOMERIO__APPLY_WAIT": "0",
                "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles(repository)),
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(folder / "bundles"),
                "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "5",
                "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
                "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                    {"type": "file", "log_file_path": str(folder / "lineage" / "event")}
                ),
            },
        )
        team = Team(folder, postgres, workspace, repository, airflow)
        write_repository(folder / "repository" / "dags" / "syncs")
        team.commit("Three specs, of which one is broken")
        with airflow:
            for dag_id in (*GOOD, *BROKEN, SURVIVOR, CHANGING, STEADY, BROKEN_IN_GIT):
                airflow.client.wait_for_dag(dag_id)
            yield team


def write_specs(dags: Path) -> None:
    """Write ten valid and three broken specs, and two specs for a factory that crashes for one of them."""
    (dags / "syncs").mkdir(parents=True)
    (dags / "crashing").mkdir()
    (dags / "customerio_syncs.py").write_text(FACTORY)
    (dags / "crashing.py").write_text(CRASHING_FACTORY)
    (dags / "syncs" / "customers.yaml").write_text(CUSTOMERS)
    (dags / "syncs" / "audience.yaml").write_text(AUDIENCE)
    for name in PLAIN:
        (dags / "syncs" / f"{name}.yaml").write_text(SPEC.format(name=name))
    (dags / "crashing" / "survivor.yaml").write_text(SPEC.format(name="survivor"))
    for file, text, _ in BROKEN.values():
        (dags / file).write_text(text)


def write_repository(syncs: Path) -> None:
    """Write two valid specs and a broken one."""
    syncs.mkdir(parents=True)
    (syncs.parent / "customerio_syncs.py").write_text(FACTORY)
    for name in ("changing", "steady"):
        (syncs / f"{name}.yaml").write_text(SPEC.format(name=name))
    broken = SPEC.format(name="broken_in_git").replace("query: ", "query_file: no/such.sql # ")
    (syncs / "broken_in_git.yaml").write_text(broken)


def bundles(repository: Repo) -> list[dict[str, object]]:
    """Return the configuration of two bundles: the DAGs folder and a Git repository."""
    in_git = {
        "repo_url": str(repository.working_dir),
        "tracking_ref": "main",
        "subdir": "dags",
        "refresh_interval": 1,
    }
    return [
        {
            "name": "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {},
        },
        {"name": "in-git", "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": in_git},
    ]


def test_a_broken_spec_shows_its_error_and_does_not_affect_others(team: Team) -> None:
    """Three broken specs beside ten valid ones, and a spec for which our own code crashes beside another.

    Each broken spec is in the list with a tag, has its error in its docs, and fails with it. The others run.
    """
    dags = team.dags()
    assert {*GOOD, *BROKEN, SURVIVOR} <= dags.keys()
    assert not [dag_id for dag_id, dag in dags.items() if dag["is_stale"] or dag["has_import_errors"]]
    assert team.client.request("GET", "/importErrors")["total_entries"] == 0
    assert team.dags(tags="spec-error").keys() == {*BROKEN, BROKEN_IN_GIT}

    plain = f"customerio.production.{PLAIN[0]}"
    runs = {dag_id: team.start(dag_id) for dag_id in (*BROKEN, plain, SURVIVOR)}
    for dag_id, (_, _, message) in BROKEN.items():
        assert message in team.documentation(dag_id)
        assert team.client.wait_for_run(dag_id, runs[dag_id]) == "failed"
        assert message in team.client.task_log(dag_id, runs[dag_id], "sync")
    for dag_id in (plain, SURVIVOR):
        assert team.client.wait_for_run(dag_id, runs[dag_id]) == "success"
        assert team.workspace.attributes(dag_id.rpartition(".")[2])["edition"] == "first"


def test_fixing_a_file_restores_its_dag(team: Team) -> None:
    """Without a restart, the DAG has its id, tags and schedule again, and runs. Its substitute disappears."""
    for file, _, _ in BROKEN.values():
        path = team.folder / "dags" / file
        path.write_text(SPEC.format(name=path.stem) + "schedule: 0 5 * * *\ntags: [fixed]\n")
    wait_until(lambda: team.dags(tags="fixed").keys() == FIXED, what="The fixed DAGs", seconds=180)
    runs = {dag_id: team.start(dag_id) for dag_id in FIXED}
    for dag_id, dag in team.dags(tags="fixed").items():
        assert {tag["name"] for tag in dag["tags"]} == {"customerio", "production", "people", "fixed"}
        assert dag["timetable_summary"] == "0 5 * * *"
        assert team.client.wait_for_run(dag_id, runs[dag_id]) == "success"
    wait_until(lambda: team.dags()[NAMELESS]["is_stale"], what="The end of a broken DAG", seconds=180)


def test_a_commit_of_one_spec_adds_a_version_of_its_dag_only(team: Team) -> None:
    """Other DAGs keep their version, including a broken one. The next run uses the new query."""
    states = {CHANGING: "success", STEADY: "success", BROKEN_IN_GIT: "failed"}
    runs = {dag_id: team.start(dag_id) for dag_id in states}  # Airflow replaces a version without runs
    assert {dag_id: team.client.wait_for_run(dag_id, runs[dag_id]) for dag_id in runs} == states
    assert team.workspace.attributes("changing")["edition"] == "first"
    spec = team.folder / "repository" / "dags" / "syncs" / "changing.yaml"
    spec.write_text(spec.read_text().replace("first", "second"))
    commit = team.commit("Change a query")
    wait_until(lambda: team.dags()[STEADY]["bundle_version"] == commit, what="The new commit", seconds=180)
    versions = {dag_id: team.versions(dag_id) for dag_id in states}
    assert versions == {CHANGING: 2, STEADY: 1, BROKEN_IN_GIT: 1}
    assert str(team.folder) not in team.documentation(BROKEN_IN_GIT)
    team.run(CHANGING)
    assert team.workspace.attributes("changing")["edition"] == "second"


def test_a_completed_run_updates_its_asset_and_triggers_dependent_syncs(team: Team) -> None:
    """A dry run and a run with failed rows do not update the asset. The event has the summary."""
    customers, audience = "customerio.production.customers", "customerio.production.audience"
    team.client.unpause(audience)
    team.run(customers, dry_run=True)
    with team.postgres.connect() as connection:
        connection.execute("INSERT INTO customers VALUES ('ben', 'ben@example,com')")
        team.run(customers, state="failed")
        connection.execute("DELETE FROM customers WHERE id = 'ben'")
    run_id = team.run(customers)
    wait_until(lambda: team.client.runs(audience), what="The run of the audience", seconds=180)
    (follower,) = team.client.runs(audience)
    assert follower["run_type"] == "asset_triggered"
    # Wait first: Airflow cannot return an event while its runs have not started.
    assert team.client.wait_for_run(audience, follower["dag_run_id"]) == "success"
    (event,) = team.client.request("GET", "/assets/events", source_dag_id=customers)["asset_events"]
    assert (event["uri"], event["source_run_id"]) == ("customerio://production/customers", run_id)
    assert event["extra"] == team.client.xcom(customers, run_id, "sync", "summary")
    assert (event["extra"]["status"], event["extra"]["rows_imported"]) == ("Completed", 2)


def test_openlineage_events_have_tables_and_workspace(team: Team) -> None:
    """The tables of both queries are inputs, and the workspace is the output.

    A failed run has the output if it sent something. Events and logs contain no secrets and no personal
    data. The event has the query, as the UI does; the task's log does not have it, even if Postgres refuses
    the query.
    """
    customers = "customerio.production.customers"
    run_id = team.run(customers)
    event = wait_until(lambda: team.lineage(f"{customers}.sync", run_id), what="The event", seconds=180)
    source = f"postgres://127.0.0.1:{team.postgres.port}"
    assert [(table["namespace"], table["name"]) for table in event["inputs"]] == [
        (source, "postgres.public.customers"),
        (source, "postgres.sales.contracts"),
    ]
    (output,) = event["outputs"]
    assert (output["namespace"], output["name"]) == ("customerio://production", "customers")
    assert "FROM sales.contracts" in event["job"]["facets"]["sql"]["query"]
    dry = team.run(customers, dry_run=True)
    event = wait_until(lambda: team.lineage(f"{customers}.sync", dry), what="The event", seconds=180)
    assert event["outputs"] == []
    with team.postgres.connect() as connection:
        connection.execute("INSERT INTO customers VALUES ('ben', 'ben@example,com')")
    partly = team.run(customers, state="failed")
    event = wait_until(
        lambda: team.lineage(f"{customers}.sync", partly, "FAIL"), what="The event", seconds=180
    )
    assert (len(event["inputs"]), event["outputs"][0]["name"]) == (2, "customers")
    with team.postgres.connect() as connection:
        connection.execute("DELETE FROM customers WHERE id = 'ben'")
        connection.execute("ALTER TABLE customers RENAME TO gone")
    refused = team.run(customers, state="failed")
    event = wait_until(
        lambda: team.lineage(f"{customers}.sync", refused, "FAIL"), what="The event", seconds=180
    )
    assert event["outputs"] == []
    for logged in (run_id, refused):
        assert "internal@example.com" not in team.client.task_log(customers, logged, "sync")
    secrets = (team.postgres.password, team.workspace.api_key, team.workspace.app_api_key)
    written = [*team.folder.glob("lineage/*"), *team.folder.glob("airflow/**/*.log")]
    assert len(written) > len(GOOD)
    for path in written:
        text = path.read_text()
        assert not [word for word in (*secrets, *ADDRESSES) if word in text], path


def test_the_factory_builds_the_same_dags_in_every_process_and_folder(tmp_path: Path) -> None:
    """The serialized DAGs, including those of broken specs, have no random order and no absolute path."""
    write_specs(tmp_path / "one")
    (tmp_path / "one" / "syncs" / "rich.yaml").write_text(RICH)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    found = []
    for seed, folder in enumerate(("one", "other")):
        done = subprocess.run(
            [sys.executable, "-c", HASHES, tmp_path / folder / "syncs"],
            env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "home"), "PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
            text=True,
        )
        found.append({line for line in done.stdout.splitlines() if line.startswith("HASH ")})
    assert len(found[0]) == len(GOOD) + 4  # three broken ones, and the rich one
    assert found[0] == found[1]
