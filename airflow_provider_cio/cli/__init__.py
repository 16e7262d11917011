"""``airflow customerio …``."""
