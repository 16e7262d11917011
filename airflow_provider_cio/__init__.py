"""Keep a Customer.io workspace true to a Postgres database, with Airflow."""

__version__ = "0.1.0"
