"""Turn each spec in `syncs/` into a DAG."""

from pathlib import Path

from airflow_provider_cio.dag_factory import build_dags

globals().update(build_dags(Path(__file__).parent / "syncs"))
