"""The published limits of Customer.io's APIs. Sizes are in bytes of UTF-8.

Our own bounds are in `bounds`.
"""

from __future__ import annotations

#: One batch request. Customer.io publishes "500kb"; this is the smaller of the two readings.
BATCH_BYTES = 500_000
#: The part of a batch request that is not operations.
ENVELOPE_BYTES = len(b'{"batch":[]}')
#: One operation of a batch. Published as "32kb".
OPERATION_BYTES = 32_000
#: An id, an email address that identifies a person, or an object id.
IDENTIFIER_BYTES = 150
#: The attributes of one person, and of one identify operation.
ATTRIBUTES = 300
#: The people in one request that adds people to a segment.
SEGMENT_PEOPLE = 1_000
#: The ids in one request to the App API for the attributes of people.
PEOPLE_PER_REQUEST = 100
#: The activities on one page of the App API.
ACTIVITIES_PER_PAGE = 100
#: The requests per second that the App API allows.
APP_REQUESTS_PER_SECOND = 10
