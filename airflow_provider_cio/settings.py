"""Numbers that a connection or ``[customerio]`` of airflow.cfg can set: each default and bound, once.

Every Airflow process reads this module, so it imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A number with its default and the smallest and largest value that can be meant."""

    default: float
    least: float
    most: float


#: Customer.io documents 1,000 a second at most, elsewhere 100. Fewer than one in 100 s is not a pace.
REQUESTS_PER_SECOND = Number(100, 0.01, 1000)
#: One thread and one batch of 500 kB each: 64 of them hold 32 MB.
CONCURRENT_REQUESTS = Number(8, 1, 64)
#: Seconds for one request, from the connection to the last byte of the answer. A batch takes about a second.
REQUEST_TIMEOUT = Number(60, 0.1, 600)
#: Seconds for which a request is repeated; 0 tries once. A workspace is taken meanwhile: a day at most.
RETRY_FOR = Number(900, 0, 86_400)
#: Seconds until accepted changes are applied. Customer.io takes seconds; an hour is more than any backlog.
APPLY_WAIT = Number(10, 0, 3600)
