"""A deployment on one machine, for the demo, tests, torture and benchmarks.

`processes` starts and stops child processes. `postgres`, `airflow` and `workspace` each run one server inside
a `with` block; `airflow_client` is a client of Airflow's API. `sample_database` holds invented people.
"""
