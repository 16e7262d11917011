"""The list of syncs: what it shows of each, and what is wrong with the deployment."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_cio.plugin import metadata
from airflow_provider_cio.plugin.charts import Sparkline, sparkline
from airflow_provider_cio.plugin.outcomes import RunStatus, RunView, view_run
from airflow_provider_cio.state.names import connection_id, last_sync_time_key, pool_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session

    from airflow_provider_cio.plugin.metadata import BrokenFile, SyncDag

#: Runs in a sparkline. Each is a row to read for each sync.
SPARKLINE_RUNS = 8
#: Unix seconds up to the year 9999, where Python's calendar ends.
_UNIX_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII).fullmatch
_NEVER = "never-run"
#: The workspace of a broken spec whose workspace cannot be read. No workspace can have this name.
_UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class LastSync:
    """The last sync time as a page shows it.

    Args:
        time: The time; None for 0.
        problem: What is wrong with the Variable; empty if nothing is.
    """

    time: dt.datetime | None
    problem: str = ""


@dataclass(frozen=True)
class ListedSync:
    """A sync in the list."""

    dag: SyncDag
    latest: RunView | None
    spark: Sparkline
    last: LastSync | None
    warnings: list[str]

    @property
    def kinds(self) -> list[str]:
        """What the sync imports."""
        return list(dict.fromkeys(kind for task in self.dag.tasks for kind in task.queries))

    @property
    def slug(self) -> str:
        """The status, as a value of the filter."""
        if self.dag.error is not None:
            return "broken-spec"
        return self.latest.status.slug if self.latest else _NEVER


@dataclass(frozen=True)
class ListedWorkspace:
    """A workspace and its syncs."""

    name: str
    syncs: list[ListedSync]
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SyncList:
    """What the list shows.

    Args:
        workspaces: The workspaces by name.
        broken_files: DAG files that Airflow cannot import.
        active: Whether a sync runs.
        statuses: The statuses that occur, as slug and words.
    """

    workspaces: list[ListedWorkspace]
    broken_files: list[BrokenFile]
    active: bool
    statuses: list[tuple[str, str]]

    @property
    def count(self) -> int:
        """How many syncs are listed."""
        return sum(len(workspace.syncs) for workspace in self.workspaces)


def list_syncs(
    session: Session, readable: Collection[str], *, import_errors: bool, now: dt.datetime
) -> SyncList:
    """Read the syncs that a user may read.

    Args:
        session: A session of the metadata database.
        readable: The DAGs that the user may read.
        import_errors: Whether the user may read import errors.
        now: The time of the page.
    """
    dags = [dag for dag in metadata.read_dags(session) if dag.dag_id in readable]
    ids = [dag.dag_id for dag in dags]
    runs = metadata.read_latest_runs(session, ids, per_dag=SPARKLINE_RUNS)
    unfinished = metadata.read_unfinished(session, ids)
    progress = metadata.read_progress(session, ids)
    keys = {
        dag.dag_id: last_sync_time_key(dag.tasks[0].workspace, dag.tasks[0].sync)
        for dag in dags
        if len(dag.tasks) == 1
    }
    variables = metadata.read_variables(session, list(keys.values()))
    pools = metadata.read_missing_pools(session, {task.pool for dag in dags for task in dag.tasks})
    connections = metadata.read_missing_connections(
        session, {each for dag in dags for each in _connections(dag)}
    )
    broken = metadata.read_import_errors(session, readable) if import_errors else []
    listed: dict[str, list[ListedSync]] = {}
    for dag in dags:
        views = [
            view_run(
                run,
                unfinished.get((run.dag_id, run.run_id), []),
                progress.get((run.dag_id, run.run_id)),
                now,
            )
            for run in runs[dag.dag_id]
        ]
        key = keys.get(dag.dag_id)
        listed.setdefault(dag.workspace or _UNKNOWN, []).append(
            ListedSync(
                dag=dag,
                latest=views[-1] if views else None,
                spark=sparkline(views, runs=SPARKLINE_RUNS),
                last=last_sync(variables.get(key)) if key else None,
                warnings=views[-1].warnings if views else [],
            )
        )
    workspaces = [
        ListedWorkspace(name, syncs, _problems(syncs, pools, connections))
        for name, syncs in sorted(listed.items(), key=lambda each: (each[0] == _UNKNOWN, each[0]))
    ]
    return SyncList(
        workspaces=workspaces,
        broken_files=broken,
        active=any(sync.latest and sync.latest.run.active for each in workspaces for sync in each.syncs),
        statuses=_statuses(workspaces),
    )


def last_sync(value: str | None) -> LastSync:
    """Read the Variable of a last sync time."""
    if value is None or not value.strip():
        return LastSync(None)
    if not _UNIX_SECONDS(value.strip()):
        return LastSync(None, "The Variable does not hold Unix seconds. Set it to 0 to send every row again.")
    seconds = int(value)
    return LastSync(dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else None)


def _connections(dag: SyncDag) -> list[str]:
    return [each for task in dag.tasks for each in task.connections or (connection_id(task.workspace),)]


def _problems(syncs: list[ListedSync], pools: set[str], connections: set[str]) -> list[str]:
    """Return what a workspace lacks, each with the way to fix it."""
    used_pools = {task.pool for sync in syncs for task in sync.dag.tasks}
    used_connections = {name for sync in syncs for name in _connections(sync.dag)}
    return [
        *(
            f"The pool {pool} does not exist, so its syncs wait forever. Run “airflow customerio pools”, or"
            f" wait half a minute: the API server creates pools named {pool_name('…')}."
            for pool in sorted(used_pools & pools)
        ),
        *(
            f"The connection {each} is neither in Airflow's database nor in this server's environment."
            " Create it under Admin > Connections, unless workers have it in theirs."
            for each in sorted(used_connections & connections)
        ),
    ]


def _statuses(workspaces: list[ListedWorkspace]) -> list[tuple[str, str]]:
    """Return the statuses that occur, in a fixed order."""
    words = {status.slug: status.value for status in RunStatus}
    words |= {_NEVER: "Never run", "broken-spec": "Broken spec"}
    found = {sync.slug for each in workspaces for sync in each.syncs}
    return [(slug, word) for slug, word in words.items() if slug in found]
