"""DAGs of specs: their schedules, and which DAG a worker builds to run one task."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pendulum
import pytest
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

from airflow_provider_cio.dag_factory import build_dags
from airflow_provider_cio.errors import ConfigurationError
from tests.airflow.test_cli import GOOD

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.airflow.conftest import Airflow

#: Builds DAGs as a worker does. Prints the DAGs, the specs parsed as YAML, and the number of files read.
PROGRAM = """\
import pathlib, sys
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
from airflow_provider_cio.dag_factory import build_dags
from airflow_provider_cio.specs import loading

parsed, read = set(), set()
document = loading.Document

def note(event, arguments):
    path = pathlib.Path(str(arguments[0])) if event == "open" else pathlib.Path()
    if path.suffix == ".yaml" and path.exists():
        read.add(path.name)

class Noting(document):
    def __init__(self, path, *arguments):
        parsed.add(path.name)
        super().__init__(path, *arguments)

loading.Document = Noting
sys.addaudithook(note)
with _airflow_parsing_context_manager(dag_id=sys.argv[2], task_id="sync"):
    dags = build_dags(pathlib.Path(sys.argv[1]))
print(sorted(dags), sorted(parsed), len(read))
"""


def test_a_relative_folder_changes_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages do not contain the path of the checkout. A path in the spec is unchanged."""
    (tmp_path / "syncs").mkdir()
    query = GOOD.replace("query: SELECT 1 AS id", "query_file: ../../secret.sql")
    (tmp_path / "syncs" / "a.yaml").write_text(query)
    monkeypatch.chdir(tmp_path)
    for folder in (Path("syncs"), Path("syncs/../syncs"), tmp_path / "syncs"):
        (dag,) = build_dags(folder).values()
        assert "/a.yaml:5:15: there is no readable file ../../secret.sql" in str(dag.doc_md)
        assert str(tmp_path) not in str(dag.doc_md)


@pytest.mark.parametrize(
    ("sync", "parsed", "read"),
    [
        ("sync_7", ["sync_7.yaml"], 1),
        ("renamed", ["other.yaml"], 12),  # all files are searched for the name, as text
    ],
)
def test_a_worker_reads_only_the_spec_of_its_task(
    tmp_path: Path, sync: str, parsed: list[str], read: int
) -> None:
    """The spec is found by the name of its file, or else by its key `name`."""
    for number in range(10):
        (tmp_path / f"sync_{number}.yaml").write_text(GOOD.replace("name: a", f"name: sync_{number}"))
    (tmp_path / "other.yaml").write_text(GOOD.replace("name: a", "name: renamed"))
    (tmp_path / "broken.yaml").write_text("name: [")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), f"customerio.production.{sync}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"{[f'customerio.production.{sync}']} {parsed} {read}"
    assert "broken.yaml" not in done.stdout + done.stderr


def due(dag: DAG, count: int) -> list[str]:
    """Return the next times at which the scheduler would run a DAG after noon of 28 March 2026."""
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    restriction = TimeRestriction(pendulum.datetime(2026, 3, 28, 12), None, catchup=True)
    found: list[str] = []
    last = None
    for _ in range(count):
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        assert info
        found.append(info.run_after.isoformat())
        last = info.data_interval
    return found


def test_schedules_use_the_time_zone_of_the_spec(airflow: Airflow) -> None:
    """A daily run starts at midnight in Berlin, before and after the change to summer time, or in UTC."""
    schedule = "schedule: {every: 1 day}\n"
    airflow.write(
        "syncs/berlin.yaml", GOOD.replace("name: a", "name: berlin") + schedule + "timezone: Europe/Berlin\n"
    )
    airflow.write("syncs/utc.yaml", GOOD.replace("name: a", "name: utc") + schedule)
    dags = airflow.dags()
    assert due(dags["customerio.production.berlin"], 2) == [
        "2026-03-28T23:00:00+00:00",
        "2026-03-29T22:00:00+00:00",
    ]
    assert due(dags["customerio.production.utc"], 1) == ["2026-03-29T00:00:00+00:00"]


def test_an_interval_that_does_not_divide_an_hour_is_exact(airflow: Airflow) -> None:
    """45 minutes need several cron expressions, and runs start every 45 minutes from midnight."""
    airflow.write("syncs/a.yaml", GOOD + "schedule: {every: 45 minutes}\n")
    times = due(airflow.dags()["customerio.production.a"], 5)
    assert [time[11:16] for time in times] == ["12:00", "12:45", "13:30", "14:15", "15:00"]


def test_a_schedule_can_be_assets_or_nothing(airflow: Airflow) -> None:
    """A sync runs when assets are updated, or only when a user triggers it."""
    airflow.write("syncs/a.yaml", GOOD + "schedule: {assets: ['s3://lake/people', 's3://lake/plans']}\n")
    airflow.write("syncs/b.yaml", GOOD.replace("name: a", "name: b"))
    dags = airflow.dags()
    assert "s3://lake/people" in str(dags["customerio.production.a"].schedule)
    assert dags["customerio.production.b"].schedule is None


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    """Otherwise all of its DAGs would disappear without a message."""
    with pytest.raises(ConfigurationError, match="does not exist: give build_dags"):
        build_dags(tmp_path / "nowhere")


def test_ids_of_broken_specs_are_unique_and_short_enough(airflow: Airflow) -> None:
    """Each broken spec has a DAG, whatever the name of its file."""
    for name in ("a.b.yaml", "a.b.yml", "a/b.yaml", f"{'x' * 240}.yaml"):
        airflow.write(f"syncs/{name}", "name: [")
    ids = airflow.dags().keys()
    assert len(ids) == 4
    assert max(map(len, ids)) <= 250


def test_arguments_of_a_notifier_are_not_displayed(airflow: Airflow) -> None:
    """They can be tokens. Neither the docs of a DAG nor those of a broken spec contain them."""
    smtp = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    notified = f"on_failure:\n- notifier: {smtp}\n  arguments:\n    to: hush@example.com\n"
    airflow.write("syncs/a.yaml", GOOD + notified + "owner: growth\n")
    airflow.write("syncs/b.yaml", GOOD.replace("name: a", "name: b") + notified + "    too: hush\n")
    dags = airflow.dags()
    assert "spec-error" in dags["customerio.production.b"].tags
    docs = dags["customerio.production.a"].doc_md
    assert f"on_failure:\n- notifier: {smtp}\n" in docs
    assert "owner: growth" in docs
    assert not [dag_id for dag_id, dag in dags.items() if "hush" in dag.doc_md]


def test_a_query_that_ends_like_a_file_name_is_not_changed(airflow: Airflow) -> None:
    """Airflow would read a text that ends in .sql as the name of a file. Braces between raw are unchanged."""
    query = "SELECT 1 AS id, {% raw %}'{{1,2}}'{% endraw %} AS plans -- see people.sql"
    airflow.write("syncs/a.yaml", GOOD.replace("SELECT 1 AS id", f'"{query}"'))
    task = airflow.dags()["customerio.production.a"].get_task("sync")
    task.resolve_template_files()
    rendered = task.render_template(task.people_query, {}, task.get_template_env())
    assert rendered.strip() == "SELECT 1 AS id, '{{1,2}}' AS plans -- see people.sql"


def test_a_spec_sets_the_delay_of_its_retries(tmp_path: Path) -> None:
    """Without the key, the delay is the one of Airflow's configuration."""
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("name: a", "name: b") + "retry_delay: 20 minutes\n")
    dags = build_dags(tmp_path)
    delays = [dags[f"customerio.production.{name}"].get_task("sync").retry_delay for name in "ab"]
    assert delays == [dt.timedelta(seconds=1), dt.timedelta(minutes=20)]
