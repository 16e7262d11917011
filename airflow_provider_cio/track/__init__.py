"""The clients of Customer.io's Track and App APIs."""

from airflow_provider_cio.settings import Region
from airflow_provider_cio.track.app_client import AppClient
from airflow_provider_cio.track.client import TrackClient
from airflow_provider_cio.track.region import APP_REGIONS, PAGES, REGIONS, RegionAnswer
from airflow_provider_cio.track.rejected_operation import RejectedOperation

__all__ = [
    "APP_REGIONS",
    "PAGES",
    "REGIONS",
    "AppClient",
    "Region",
    "RegionAnswer",
    "RejectedOperation",
    "TrackClient",
]
