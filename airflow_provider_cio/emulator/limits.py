"""The limits that the emulator enforces, from Customer.io's documentation. Sizes are bytes of UTF-8.

They are deliberately independent of `airflow_provider_cio.track.limits`: the emulator checks the client, and
shared numbers would hide a wrong one. Customer.io does not say whether its "kb" is 1,000 or 1,024 bytes; the
emulator uses 1,000.
"""

from __future__ import annotations

MAX_BATCH_BYTES = 500_000
MAX_OPERATION_BYTES = 32_000
MAX_ID_BYTES = 150
MAX_NAME_BYTES = 150
MAX_VALUE_BYTES = 1_000
MAX_ATTRIBUTES = 300
#: All names and values of an object or a relationship.
MAX_DOCUMENT_BYTES = 100_000
MAX_EVENT_NAME_BYTES = 100
MAX_EVENT_DATA_BYTES = 100_000
#: People in one request that changes a segment.
MAX_SEGMENT_IDS = 1_000

# Items on one page of the App API.

MAX_MEMBERS = 30_000
MAX_ACTIVITIES = 100
MAX_RELATIONSHIPS = 1_000
#: Ids in one request for the attributes of several people.
MAX_CUSTOMERS = 100
