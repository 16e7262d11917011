"""The way of a row from a database to a Customer.io workspace. The engine does not import Airflow.

::

                sources/          mapping/              delivery/            outcome/
    database ─▶ rows in chunks ─▶ operations ─▶ batches in lanes ─▶ verdicts ─▶ summary ─▶ report
                                      │             │     ▲                        ▲
                                      │             ▼     │                        │
                                      │           Customer.io                      │
                                      └───────── rows that cannot be sent ─────────┘

`run` leads through one run from top to bottom. It can be used from any Python script::

    rejections, summary = Rejections(), Summary(last_sync_time=0)
    with TrackClient(site_id=..., api_key=..., base_url=REGIONS["us"]) as client:
        sync = Sync(main=PeopleQuery(sql="SELECT id, email, plan FROM people"))
        run_sync(sync, PostgresSource(lambda: psycopg.connect(...)), client, rejections, summary)
"""

from airflow_provider_cio.engine.mapping.objects import ObjectsQuery
from airflow_provider_cio.engine.mapping.people import PeopleQuery
from airflow_provider_cio.engine.mapping.relationships import RelationshipsQuery
from airflow_provider_cio.engine.outcome.guards import Guards
from airflow_provider_cio.engine.outcome.rejection import Rejection, Rejections, Report
from airflow_provider_cio.engine.outcome.summary import Counts, Status, Summary
from airflow_provider_cio.engine.retry import FailedRow, FailedRows
from airflow_provider_cio.engine.run import ReadBack, run_sync
from airflow_provider_cio.engine.sources.postgres import PostgresSource
from airflow_provider_cio.engine.sync import Sync

#: Scripts that were written when Postgres was the only source import this name.
Source = PostgresSource

__all__ = [
    "Counts",
    "FailedRow",
    "FailedRows",
    "Guards",
    "ObjectsQuery",
    "PeopleQuery",
    "PostgresSource",
    "ReadBack",
    "Rejection",
    "Rejections",
    "RelationshipsQuery",
    "Report",
    "Source",
    "Status",
    "Summary",
    "Sync",
    "run_sync",
]
