"""Assets of syncs: their URIs, and their names in OpenLineage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk import Asset

from airflow_provider_cio.dag_factory import build_dags
from tests.airflow.test_cli import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.airflow.conftest import Airflow


@pytest.mark.usefixtures("airflow")
def test_airflow_finds_handler_factory_and_converter() -> None:
    """The factory makes the asset of a sync, and the converter gives it the name that lineage has."""
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    manager = ProvidersManagerTaskRuntime()
    asset = manager.asset_factories["customerio"](workspace="production", sync_name="people")
    assert asset.uri == "customerio://production/people"
    assert asset.normalized_uri == asset.uri
    dataset = manager.asset_to_openlineage_converters["customerio"](asset, lineage_context=None)
    assert (dataset.namespace, dataset.name) == ("customerio://production", "people")


@pytest.mark.parametrize(
    "path", ["", "production", "production/", "production/a/b", "a.b/c", "u@a/b", "a/b?c=1"]
)
def test_a_uri_that_names_no_sync_is_refused(path: str) -> None:
    """The message has the form of the URI. A slash at the end does not matter."""
    with pytest.raises(ValueError, match="such as customerio://production/active_people"):
        Asset(uri=f"customerio://{path}")
    assert Asset(uri="CUSTOMERIO://production/people/").uri == "customerio://production/people"


def test_a_spec_that_waits_for_such_a_uri_is_broken(airflow: Airflow, tmp_path: Path) -> None:  # noqa: ARG001 - Airflow's configuration is used
    """A mistake in the URI of another sync is found when the spec is read."""
    (tmp_path / "a.yaml").write_text(GOOD + "schedule: {assets: ['customerio://production']}\n")
    (dag,) = build_dags(tmp_path).values()
    assert "spec-error" in dag.tags
    assert "customerio://<workspace>/<sync name>" in str(dag.doc_md)
