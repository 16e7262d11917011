"""Arguments of the operator: a value that is not valid is an import error of the DAG's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.airflow.conftest import Airflow

PEOPLE = {"people_query": "SELECT 1 AS id"}
OBJECTS = {"objects_query": "SELECT 1 AS object_id", "object_type_id": "1"}
RELATED = {**PEOPLE, "relationships_query": "SELECT 1 AS id, 1 AS object_id"}
BOTH = "Both people_query and objects_query are given. Give one of them."
SECONDS = "use whole seconds from 0 to 31536000, such as 60"


def make(**arguments: Any) -> Any:
    """Construct the operator with some arguments."""
    from airflow_provider_cio.operators.sync import CustomerIOSyncOperator

    return CustomerIOSyncOperator(**{"task_id": "sync", "workspace": "w", "sync_name": "s", **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({**PEOPLE, "nulls": "drop"}, "nulls='drop' is not valid: use remove or skip"),
        ({**PEOPLE, "nulls": None}, "nulls=None is not valid: use remove or skip"),
        ({**PEOPLE, "nulls": "REMOVE"}, "nulls='REMOVE' is not valid"),
        ({**PEOPLE, "nulls": ["skip"]}, "nulls=a list is not valid"),
        ({**PEOPLE, "timestamps": "epoch"}, "timestamps='epoch' is not valid: use unix or iso"),
        ({**PEOPLE, "identify_by": "cio_id"}, "identify_by='cio_id' is not valid: use id or email"),
        ({**PEOPLE, "identify_by": ""}, "identify_by='' is not valid"),
        ({**RELATED, "relationships_identify_by": None, "object_type_id": "1"}, "use id or email"),
        ({**PEOPLE, "guards": ["min_rows"]}, "guards=a list is not valid: use a dict"),
        (
            {**PEOPLE, "guards": {"min_row": 1}},
            "guards has an unknown key. Valid keys are min_rows, max_rows",
        ),
        ({**PEOPLE, "guards": {"min_rows": 0}}, "guards['min_rows']=0 is not valid: use a number of rows"),
        ({**PEOPLE, "guards": {"max_rows": True}}, "guards['max_rows']=True is not valid"),
        ({**PEOPLE, "guards": {"max_rows": "5%"}}, "guards['max_rows']='5%' is not valid"),
        ({**PEOPLE, "guards": {"max_growth": 3}}, "guards['max_growth']=3 is not valid: use a percentage"),
        ({**PEOPLE, "guards": {"max_failed": "-5%"}}, "guards['max_failed']='-5%' is not valid"),
        ({**PEOPLE, "guards": {"max_failed": 0.05}}, "guards['max_failed']=0.05 is not valid"),
        ({**PEOPLE, "guards": {"min_rows": 2, "max_rows": 1}}, "min_rows cannot be larger than max_rows"),
        ({**PEOPLE, "create": None}, "create=None is not valid: use True or False"),
        ({**PEOPLE, "create": 0}, "create=0 is not valid: use True or False"),
        ({**OBJECTS, "create": False}, "create=False is only valid with people_query"),
        (
            {**RELATED, "relationships_object_type_id": "1", "create": False},
            "create=False cannot be combined with relationships_query",
        ),
        ({**PEOPLE, "workspace": "My Workspace"}, "workspace='My Workspace' is not valid"),
        ({**PEOPLE, "workspace": ""}, "workspace='' is not valid"),
        ({**PEOPLE, "workspace": 5}, "workspace=5 is not valid"),
        ({**PEOPLE, "workspace": "w\n"}, "workspace='w\\n' is not valid"),
        ({**PEOPLE, "workspace": "café"}, "workspace='café' is not valid"),
        ({**PEOPLE, "sync_name": "a.b"}, "sync_name='a.b' is not valid"),
        ({**PEOPLE, "sync_name": "../x"}, "sync_name='../x' is not valid"),
        ({**PEOPLE, "sync_name": "x" * 101}, "use 1 to 100 of a-z, 0-9 and _"),
        ({**PEOPLE, "sync_name": "{{ params.sync }}"}, "templates are not rendered here"),
        ({}, "Neither people_query nor objects_query is given. Give one of them."),
        ({**PEOPLE, **OBJECTS}, BOTH),
        ({"people_query": ""}, "people_query is empty"),
        ({"people_query": " \n"}, "people_query is empty"),
        ({"people_query": 5}, "people_query=5 is not valid"),
        ({"people_query": ["SELECT 1"]}, "people_query=a list is not valid"),
        ({"people_query": "SELECT '\0'"}, "people_query contains a NUL character"),
        ({**PEOPLE, "relationships_query": "", "object_type_id": "1"}, "relationships_query is empty"),
        ({"objects_query": "SELECT 1"}, "objects_query needs object_type_id"),
        (
            {**OBJECTS, "object_type_id": 1},
            "object_type_id=1 is not valid: use the number of the",
        ),
        ({**OBJECTS, "object_type_id": True}, "object_type_id=True is not valid"),
        ({**OBJECTS, "object_type_id": "0"}, "object_type_id='0' is not valid"),
        ({**OBJECTS, "object_type_id": "01"}, "object_type_id='01' is not valid"),
        ({**OBJECTS, "object_type_id": "٣"}, "object_type_id='٣' is not valid"),
        ({**OBJECTS, "object_type_id": "companies"}, "object_type_id='companies' is not valid"),
        ({**OBJECTS, "object_type_id": ""}, "object_type_id='' is not valid"),
        ({**OBJECTS, "identify_by": "id"}, "identify_by is only valid with people_query"),
        ({**OBJECTS, "segment_id": 7}, "segment_id is only valid with people_query"),
        (RELATED, "relationships_query needs relationships_object_type_id"),
        ({**RELATED, "relationships_object_type_id": 1}, "relationships_object_type_id=1 is not valid"),
        ({**PEOPLE, "segment_id": 1, "segment_name": "x"}, "Both segment_id and segment_name are given"),
        ({**PEOPLE, "segment_id": 0}, "segment_id=0 is not valid"),
        (
            {**PEOPLE, "segment_id": "7"},
            "segment_id='7' is not valid: use the number of the",
        ),
        ({**PEOPLE, "segment_id": True}, "segment_id=True is not valid"),
        ({**PEOPLE, "segment_id": 1.5}, "segment_id=1.5 is not valid"),
        ({**PEOPLE, "segment_name": ""}, "segment_name='' is not valid"),
        ({**PEOPLE, "segment_name": 7}, "segment_name=7 is not valid"),
        ({**PEOPLE, "segment_name": "x" * 501}, "use a text of 1 to 500 characters"),
        ({**PEOPLE, "overlap": -1}, f"overlap=-1 is not valid: {SECONDS}"),
        ({**PEOPLE, "overlap": True}, "overlap=True is not valid"),
        ({**PEOPLE, "overlap": "60"}, "overlap='60' is not valid"),
        ({**PEOPLE, "overlap": 1.5}, "overlap=1.5 is not valid"),
        ({**PEOPLE, "max_lookback": -5}, "max_lookback=-5 is not valid"),
        ({**PEOPLE, "max_lookback": None}, "max_lookback=None is not valid"),
        ({**PEOPLE, "max_lookback": 10**12}, "max_lookback=1000000000000 is not valid"),
        ({**PEOPLE, "statement_timeout": 0}, "statement_timeout=0 is not valid: use whole seconds from 1"),
        ({**PEOPLE, "statement_timeout": 10**7}, "statement_timeout=10000000 is not valid"),
        ({**PEOPLE, "statement_timeout": float("nan")}, "statement_timeout=nan is not valid"),
        ({**PEOPLE, "postgres_conn_id": ""}, "postgres_conn_id='' is not valid"),
        ({**PEOPLE, "postgres_conn_id": None}, "postgres_conn_id=None is not valid"),
        ({**PEOPLE, "customerio_conn_id": 5}, "customerio_conn_id=5 is not valid"),
        ({**PEOPLE, "postgres_conn_id": "postgres://u:p@h/d"}, "postgres_conn_id is a URI"),
    ],
)
@pytest.mark.usefixtures("airflow")
def test_a_wrong_value_is_refused_at_construction(arguments: dict[str, Any], message: str) -> None:
    """The message names the argument, its value, and what is valid."""
    from airflow_provider_cio.errors import ConfigurationError

    with pytest.raises(ConfigurationError) as raised:
        make(**arguments)
    assert message in str(raised.value)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    "arguments",
    [
        {**PEOPLE, "nulls": "skip", "timestamps": "iso", "identify_by": "email", "segment_id": 7},
        {**PEOPLE, "overlap": 0, "max_lookback": 0, "statement_timeout": 1, "segment_name": "VIP"},
        {**OBJECTS, "object_type_id": "12", "relationships_query": "SELECT 1", "overlap": None},
        {**RELATED, "relationships_object_type_id": "2", "relationships_identify_by": "email"},
        {**PEOPLE, "create": False},
        {**PEOPLE, "guards": {"min_rows": 1, "max_rows": 1, "max_growth": "300%", "max_failed": "0.5%"}},
        {**OBJECTS, "guards": {"max_failed": 0}},
        {**PEOPLE, "pool": "another", "customerio_conn_id": "mine", "default_args": {"retries": 1}},
    ],
)
@pytest.mark.usefixtures("airflow")
def test_valid_values_are_accepted(arguments: dict[str, Any]) -> None:
    """All documented values are accepted. A given pool replaces the pool of the workspace."""
    assert make(**arguments).pool == arguments.get("pool", "customerio.w")


@pytest.mark.usefixtures("airflow")
def test_default_args_are_checked_and_do_not_change_the_pool() -> None:
    """With a pool in default_args, two syncs of a workspace still do not run at the same time."""
    assert make(**PEOPLE, default_args={"pool": "etl"}).pool == "customerio.w"
    with pytest.raises(ValueError, match="nulls='drop' is not valid: use remove or skip"):
        make(**PEOPLE, default_args={"nulls": "drop"})


def test_a_query_may_be_the_output_of_another_task(connected: Airflow) -> None:
    """Airflow resolves the output when the task runs. Then it is rendered like any query."""
    connected.write(
        "output.py",
        "from airflow.sdk import DAG, task\n"
        "from airflow_provider_cio.operators.sync import CustomerIOSyncOperator\n"
        "with DAG('output', schedule=None):\n"
        "    @task\n"
        "    def query():\n"
        "        return \"SELECT 'out1' AS id\"\n"
        "    CustomerIOSyncOperator(task_id='sync', workspace='production', sync_name='output',\n"
        "        postgres_conn_id='warehouse', people_query=query())\n",
    )
    run = connected.run("output")
    assert run.state == "success"


def test_a_wrong_value_of_a_mapped_task_fails_its_run_at_once(
    connected: Airflow, capfd: pytest.CaptureFixture[str]
) -> None:
    """Airflow constructs a mapped task when it runs. The task fails without a retry, and has a summary."""
    connected.write(
        "mapped_wrong.py",
        "from airflow.sdk import DAG\n"
        "from airflow_provider_cio.operators.sync import CustomerIOSyncOperator\n"
        "with DAG('mapped_wrong', schedule=None):\n"
        "    CustomerIOSyncOperator.partial(task_id='sync', workspace='production', retries=5,\n"
        "        postgres_conn_id='warehouse', people_query='SELECT 1 AS id', nulls='drop',\n"
        "        pool='customerio.production').expand(sync_name=['wrong'])\n",
    )
    run = connected.run("mapped_wrong")
    (task,) = run.get_task_instances()
    assert (run.state, task.try_number) == ("failed", 1)
    assert "nulls='drop' is not valid: use remove or skip" in capfd.readouterr().out
    summary = task.xcom_pull(task_ids="sync", key="summary", map_indexes=0)
    assert summary["status"] == "Failed"
