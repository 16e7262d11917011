"""A deployment on one machine: Postgres, Airflow and workspaces, for the demo, tests and benchmarks."""
