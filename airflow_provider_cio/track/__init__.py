"""Customer.io's Track API: its client, its limits and its pace."""

from airflow_provider_cio.track.client import TrackClient
from airflow_provider_cio.track.region import REGIONS, Region, RegionAnswer

__all__ = ["REGIONS", "Region", "RegionAnswer", "TrackClient"]
