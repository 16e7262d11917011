"""From specs to DAGs: all that a user writes in Python is one call.

::

    globals().update(build_dags(Path(__file__).parent / "syncs"))
"""

from airflow_provider_cio.dag_factory.build import build_dag, build_dags

__all__ = ["build_dag", "build_dags"]
