"""Specs as a team has them: some broken, some in Git, some that wait for others, all of them in lineage."""

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
#: A factory with a mistake of our own in it.
CRASHING_FACTORY = """\
from pathlib import Path
from airflow_provider_cio import dag_factory

build_dag = dag_factory.build_dag

def crash(spec):
    if "crash" in spec.tags:
        raise RuntimeError("a mistake of our own")
    return build_dag(spec)

dag_factory.build_dag = crash
globals().update(dag_factory.build_dags(Path(__file__).parent / "crashing"))
"""
SPEC = """\
name: {name}
workspace: production
postgres_conn_id: warehouse
people:
  query: SELECT '{name}' AS id, 'first' AS edition
"""
#: OpenLineage's own parser sees nothing of the first query, neither in WITH nor beside ROWS FROM.
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
#: The file of each broken DAG, what is in it, and what is wrong with it.
BROKEN = {
    WRONG_KEY: (
        "syncs/wrong_key.yaml",
        SPEC.format(name="wrong_key") + "retrys: 3\n",
        "syncs/wrong_key.yaml:6:1: retrys is no key of a spec: did you mean retries?",
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
        "crashing/crashes.yaml: RuntimeError: a mistake of our own",
    ),
}
MENDED = {f"customerio.production.{Path(file).stem}" for file, _, _ in BROKEN.values()}

CHANGING = "customerio.production.changing"
STEADY = "customerio.production.steady"
BROKEN_IN_GIT = "customerio.production.broken_in_git"

ADDRESSES = ("ann@example.com", "ben@example,com")
#: Has a little of everything whose order could change from one process to the next.
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
#: Prints each DAG's id and the hash by which Airflow tells versions apart.
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
        """Read the list of DAGs as the UI does, stale ones included."""
        found = self.client.request("GET", "/dags", exclude_stale=False, limit="100", **query)["dags"]
        return {dag["dag_id"]: dag for dag in found}

    def documentation(self, dag_id: str) -> str:
        """Read what the UI shows as a DAG's docs."""
        return str(self.client.request("GET", f"/dags/{dag_id}/details")["doc_md"])

    def versions(self, dag_id: str) -> int:
        """Count a DAG's versions."""
        return int(self.client.request("GET", f"/dags/{dag_id}/dagVersions")["total_entries"])

    def start(self, dag_id: str, **conf: object) -> str:
        """Start a run and give its id."""
        self.client.unpause(dag_id)
        return self.client.trigger(dag_id, conf)

    def run(self, dag_id: str, *, state: str = "success", **conf: object) -> str:
        """Run a DAG to its end, which should be this state, and give the run's id."""
        run_id = self.start(dag_id, **conf)
        assert self.client.wait_for_run(dag_id, run_id) == state
        return run_id

    def commit(self, message: str) -> str:
        """Commit all that is in the repository's folder and give the commit's id."""
        self.repository.git.add(all=True)
        somebody = Actor("Somebody", "somebody@example.com")
        return self.repository.index.commit(message, author=somebody, committer=somebody).hexsha

    def lineage(self, job: str, run_id: str) -> dict[str, Any] | None:
        """Find what OpenLineage was told of a task that ended well; it is written after the run's state."""
        texts = [path.read_text() for path in self.folder.glob("lineage/*.json")]
        events = [json.loads(text) for text in texts if text.endswith("\n")]  # others are being written
        for event in events:
            run = event["run"]["facets"].get("airflow", {}).get("dagRun", {})
            if (event["eventType"], event["job"]["name"], run.get("run_id")) == ("COMPLETE", job, run_id):
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
    """Write ten good specs and three broken ones, and two for a factory that crashes at one of them."""
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
    """Write two good specs and a broken one."""
    syncs.mkdir(parents=True)
    (syncs.parent / "customerio_syncs.py").write_text(FACTORY)
    for name in ("changing", "steady"):
        (syncs / f"{name}.yaml").write_text(SPEC.format(name=name))
    broken = SPEC.format(name="broken_in_git").replace("query: ", "query_file: no/such.sql # ")
    (syncs / "broken_in_git.yaml").write_text(broken)


def bundles(repository: Repo) -> list[dict[str, object]]:
    """Give Airflow the DAGs folder, and a repository beside it."""
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


def test_a_broken_spec_shows_its_error_and_takes_no_other_down(team: Team) -> None:
    """Three broken specs beside ten good ones, and one at which our own code crashes beside another.

    Each is in the list, tagged, with its error in its docs, and fails with it when it is run; the others run.
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


def test_mending_a_file_heals_its_dag(team: Team) -> None:
    """Without a restart: the DAG has its id, tags and schedule, and runs; what stood for it goes."""
    for file, _, _ in BROKEN.values():
        path = team.folder / "dags" / file
        path.write_text(SPEC.format(name=path.stem) + "schedule: 0 5 * * *\ntags: [mended]\n")
    wait_until(lambda: team.dags(tags="mended").keys() == MENDED, what="The mending", seconds=180)
    runs = {dag_id: team.start(dag_id) for dag_id in MENDED}
    for dag_id, dag in team.dags(tags="mended").items():
        assert {tag["name"] for tag in dag["tags"]} == {"customerio", "production", "people", "mended"}
        assert dag["timetable_summary"] == "0 5 * * *"
        assert team.client.wait_for_run(dag_id, runs[dag_id]) == "success"
    wait_until(lambda: team.dags()[NAMELESS]["is_stale"], what="The end of a broken DAG", seconds=180)


def test_a_commit_that_changes_one_spec_makes_a_version_of_its_dag_alone(team: Team) -> None:
    """The other DAGs keep theirs, also a broken one; the next run imports what the new query says."""
    states = {CHANGING: "success", STEADY: "success", BROKEN_IN_GIT: "failed"}
    runs = {dag_id: team.start(dag_id) for dag_id in states}  # Airflow replaces a version that never ran
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


def test_a_completed_run_updates_its_asset_and_starts_who_waits_for_it(team: Team) -> None:
    """A dry run and a run with failed rows update nothing; the event has the summary."""
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
    # Waited for before events are asked for: Airflow cannot show one whose runs have not begun.
    assert team.client.wait_for_run(audience, follower["dag_run_id"]) == "success"
    (event,) = team.client.request("GET", "/assets/events", source_dag_id=customers)["asset_events"]
    assert (event["uri"], event["source_run_id"]) == ("customerio://production/customers", run_id)
    assert event["extra"] == team.client.xcom(customers, run_id, "sync", "summary")
    assert (event["extra"]["status"], event["extra"]["rows_imported"]) == ("Completed", 2)


def test_openlineage_is_told_what_was_read_and_written(team: Team) -> None:
    """Tables of both queries as inputs, the workspace as output.

    No secret and no person is in events and logs. The query's own text is in the event, as it is in the UI,
    but not in the task's log, also when Postgres refuses it.
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
        connection.execute("ALTER TABLE customers RENAME TO gone")
    refused = team.run(customers, state="failed")
    for each in (run_id, refused):
        assert "internal@example.com" not in team.client.task_log(customers, each, "sync")
    secrets = (team.postgres.password, team.workspace.api_key, team.workspace.app_api_key)
    written = [*team.folder.glob("lineage/*"), *team.folder.glob("airflow/**/*.log")]
    assert len(written) > len(GOOD)
    for path in written:
        text = path.read_text()
        assert not [word for word in (*secrets, *ADDRESSES) if word in text], path


def test_the_factory_gives_the_same_dags_in_every_process_and_folder(tmp_path: Path) -> None:
    """A broken spec's, too: no order of a set and no path of a checkout is in what makes a version."""
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
