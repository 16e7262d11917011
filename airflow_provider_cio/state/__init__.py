"""What a sync remembers between runs, and the names and pools under which Airflow keeps it."""
