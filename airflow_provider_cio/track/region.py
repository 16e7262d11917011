"""Where a workspace lives."""

from __future__ import annotations

from typing import Literal

import msgspec

Region = Literal["us", "eu"]

#: The Track API of each region.
REGIONS: dict[Region, str] = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
#: The App API of each region.
APP_REGIONS: dict[Region, str] = {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"}


class RegionAnswer(msgspec.Struct, frozen=True):
    """What ``GET /api/v1/accounts/region`` says about the credentials' workspace."""

    url: str
    region: str
    environment_id: int
