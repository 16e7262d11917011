"""Syncs as Airflow tasks."""
