"""What a sync remembers between runs, and the names under which Airflow keeps it.

* names           ids of DAGs, connections, pools, assets and Variables
* last_sync_time  the Variable with the last sync time of a sync
* windows         the Variable with the times when syncs of a workspace were running
* pools           the pools that let one sync of a workspace run at a time
* airflow_api     check that Airflow's API can be reached
"""
