"""The contenders of the benchmark of parsing. All of them build equal DAGs."""

from __future__ import annotations

import datetime as dt
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.sdk import DAG

    Parse = Callable[[], dict[str, DAG]]

DAGS = 1000
ONE = DAGS // 2
"""Number of the DAG that a worker is about to run."""

_QUERY = Template("""\
SELECT id, email, first_name, plan, created AS created_at
FROM people_$number
WHERE extract(epoch FROM updated_at) >= {{ last_sync_time }}
""")


def specs(folder: Path) -> Parse:
    """Build DAGs as our users do."""
    from airflow_provider_cio.dag_factory import build_dags  # noqa: PLC0415 - imported only for this contender

    return lambda: build_dags(folder / "specs")


def one_of_specs(folder: Path) -> Parse:
    """Build DAGs as our users do, in a worker that is about to run one of them."""
    from airflow.sdk.definitions._internal import dag_parsing_context  # noqa: PLC0415

    parse = specs(folder)

    def parse_one() -> dict[str, DAG]:
        with dag_parsing_context._airflow_parsing_context_manager(dag_id(ONE), "sync"):  # noqa: SLF001 - as workers do
            return parse()

    return parse_one


def dag_factory(folder: Path) -> Parse:
    """Build DAGs with dag-factory."""
    from dagfactory import load_yaml_dags  # type: ignore[import-not-found] # noqa: PLC0415

    def parse() -> dict[str, DAG]:
        dags: dict[str, DAG] = {}
        home = str(folder / "dag-factory")
        load_yaml_dags(dags, dags_folder=home, defaults_config_path=home)
        return dags

    return parse


def blueprint(folder: Path) -> Parse:
    """Build DAGs with blueprint, which has no params for DAGs, so they are added afterwards."""
    from blueprint import build_all_airflow_dags  # type: ignore[import-not-found] # noqa: PLC0415

    def parse() -> dict[str, DAG]:
        dags: dict[str, DAG] = {}
        build_all_airflow_dags(
            folder / "blueprint",
            register_globals=dags,
            on_dag_built=lambda dag, _: dag.params.update(params()),
        )
        return dags

    return parse


def plain_python(_: Path) -> Parse:
    """Build DAGs by hand, in the usual way."""
    return lambda: {dag_id(number): build_by_hand(number, params=params()) for number in range(DAGS)}


def plain_python_params_last(_: Path) -> Parse:
    """Build DAGs by hand in the fastest way: Airflow does not check and copy params that are added last."""

    def parse() -> dict[str, DAG]:
        dags = {}
        for number in range(DAGS):
            dag = dags[dag_id(number)] = build_by_hand(number)
            dag.params.update(params())
        return dags

    return parse


#: Contender to its function, and the number of DAGs that it builds.
CONTENDERS: dict[str, tuple[Callable[[Path], Parse], int]] = {
    "plain Python, params last": (plain_python_params_last, DAGS),
    "plain Python": (plain_python, DAGS),
    "specs": (specs, DAGS),
    "specs, one is to run": (one_of_specs, 1),
    "dag-factory": (dag_factory, DAGS),
    "blueprint": (blueprint, DAGS),
}
PEERS = {"dag-factory", "blueprint"}


def dag_id(number: int) -> str:
    """Return the id of a DAG by its number."""
    return f"customerio.production.sync_{number}"


def cron(number: int) -> str:
    """Return the schedule of a DAG by its number."""
    return f"{number % 60} * * * *"


def params() -> dict[str, Any]:
    """Return the params that every DAG has."""
    from airflow.sdk import Param  # noqa: PLC0415 - the parent process needs no Airflow

    titles = {"full_refresh": "Full refresh", "dry_run": "Dry run"}
    return {name: Param(default=False, type="boolean", title=title) for name, title in titles.items()}


def build_by_hand(number: int, **arguments: Any) -> DAG:
    """Build a DAG by hand."""
    from airflow.sdk import DAG  # noqa: PLC0415 - the parent process needs no Airflow

    from airflow_provider_cio.operators.sync import CustomerIOSyncOperator  # noqa: PLC0415

    with DAG(
        dag_id(number),
        description="All people that changed since the last run",
        schedule=cron(number),
        start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        catchup=False,
        max_active_runs=1,
        tags={"crm", "customerio", "people", "production"},
        doc_md="Imports people from `warehouse` into the workspace **production**.",
        **arguments,
    ) as dag:
        CustomerIOSyncOperator(
            task_id="sync",
            workspace="production",
            sync_name=f"sync_{number}",
            postgres_conn_id="warehouse",
            identify_by="id",
            people_query=_QUERY.substitute(number=number),
            retries=3,
            owner="growth-team",
        )
    return dag
