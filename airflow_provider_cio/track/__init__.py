"""Customer.io's Track and App APIs: their clients, their limits and their pace."""

from airflow_provider_cio.track.app_client import AppClient
from airflow_provider_cio.track.client import TrackClient
from airflow_provider_cio.track.region import APP_REGIONS, REGIONS, Region, RegionAnswer

__all__ = ["APP_REGIONS", "REGIONS", "AppClient", "Region", "RegionAnswer", "TrackClient"]
