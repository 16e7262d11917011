"""The regions of Customer.io."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from airflow_provider_cio.settings import Region


#: The base URL of the Track API in each region.
REGIONS: dict[Region, str] = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
#: The base URL of the App API in each region.
APP_REGIONS: dict[Region, str] = {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"}
#: The URL of Customer.io's own pages in each region.
PAGES: dict[Region, str] = {"us": "https://fly.customer.io", "eu": "https://fly-eu.customer.io"}


class RegionAnswer(msgspec.Struct, frozen=True):
    """The workspace of a pair of credentials, as ``GET /api/v1/accounts/region`` returns it.

    Args:
        url: The base URL of the Track API in the region.
        region: ``us`` or ``eu``.
        environment_id: The number of the workspace.
    """

    url: str
    region: str
    environment_id: int
