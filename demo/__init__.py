"""A deployment on one machine, for `make demo` and for tests: Postgres, workspaces and Airflow."""
