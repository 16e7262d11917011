"""A sync as an Airflow task.

* sync           the public operator: constructor, run, state of the task
* queries        the arguments for each kind of query
* arguments      checks of the arguments, when a DAG's file is parsed
* run_conf       what a run is asked to do: full refresh, dry run
* rendering      rendering the queries, with clear errors
* connections    from connection ids to a source and to API clients
* task_failures  which Airflow exception an error becomes
* supervision    the end of a run whose supervisor was killed
* lineage        the tables and the workspace of a run, for OpenLineage
"""
