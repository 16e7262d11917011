"""Defaults and bounds of what users configure, each defined once.

The connection form, the hook, the clients, specs and the operator import them from here. Every Airflow
process imports this module, so it imports almost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args


@dataclass(frozen=True)
class NumberSetting:
    """A number that users can set.

    Args:
        default: The value if users do not set one.
        minimum: The smallest valid value.
        maximum: The largest valid value.
    """

    default: float
    minimum: float
    maximum: float


# Connections of type customerio.

Region = Literal["us", "eu"]
REGION_NAMES: tuple[Region, ...] = get_args(Region)
DEFAULT_REGION: Region = "us"
#: Requests per second. Customer.io publishes 1,000 as the maximum, and 100 in older documents. At less than
#: one request in 100 seconds, a sync would not end.
REQUESTS_PER_SECOND = NumberSetting(100, 0.01, 1000)
#: Requests in flight. Each needs a thread and one batch of at most 500 kB, so 64 requests hold 32 MB.
CONCURRENT_REQUESTS = NumberSetting(8, 1, 64)

# Section [customerio] of airflow.cfg.

#: Seconds for one request, from the connection to the last byte of the response.
REQUEST_TIMEOUT = NumberSetting(60, 0.1, 600)
#: Seconds for which a request is repeated; 0 does not repeat it. The sync occupies its workspace during this
#: time, so a day is the maximum.
RETRY_FOR = NumberSetting(900, 0, 86_400)
#: Seconds until Customer.io has applied accepted changes. Usually a few are enough, and an hour is longer
#: than any backlog.
APPLY_WAIT = NumberSetting(10, 0, 3600)
#: Days for which a sync keeps its reports; the minimum itself is not valid. The maximum is a century,
#: well before the end of Python's calendar.
REPORT_RETENTION_DAYS = NumberSetting(30, 0, 36_500)

# Specs and the arguments of the operator.

#: The names of workspaces and syncs. The names of DAGs, pools, Variables, assets and folders contain them,
#: and Airflow's columns hold 250 characters.
NAME_PATTERN = "^[a-z0-9_]+$"
MAX_NAME_LENGTH = 100
#: Customer.io numbers object types from 1, and writes the number as text.
OBJECT_TYPE_ID_PATTERN = "^[1-9][0-9]*$"
#: Seconds in a year: the largest `overlap`, `max_lookback` and other duration.
MAX_DURATION_SECONDS = 365 * 86_400
#: Postgres counts the milliseconds of a `statement_timeout` in 31 bits, which is almost 25 days.
MAX_STATEMENT_TIMEOUT_SECONDS = 24 * 86_400
