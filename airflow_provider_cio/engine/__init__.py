"""The way of a row: source, mapping, lanes, delivery, verdicts. Imports no Airflow.

Usable from any Python script::

    rejections, summary = Rejections(), Summary(last_sync_time=0)
    with TrackClient(site_id=..., api_key=..., base_url=REGIONS["us"]) as client:
        sync = Sync(main=PeopleQuery(sql="SELECT id, email, plan FROM people"))
        run_sync(sync, PostgresSource(lambda: psycopg.connect(...)), client, rejections, summary)
"""

from airflow_provider_cio.engine.outcome.rejection import Rejection, Rejections, Report
from airflow_provider_cio.engine.outcome.summary import Counts, Status, Summary
from airflow_provider_cio.engine.queries import ObjectsQuery, PeopleQuery, RelationshipsQuery, Sync
from airflow_provider_cio.engine.run import ReadBack, run_sync
from airflow_provider_cio.engine.sources import PostgresSource

__all__ = [
    "Counts",
    "ObjectsQuery",
    "PeopleQuery",
    "PostgresSource",
    "ReadBack",
    "Rejection",
    "Rejections",
    "RelationshipsQuery",
    "Report",
    "Status",
    "Summary",
    "Sync",
    "run_sync",
]
