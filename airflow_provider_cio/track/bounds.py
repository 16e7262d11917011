"""Our own bounds on requests and responses. They hold even if a server is damaged or hostile.

The limits that Customer.io publishes are in `limits`; what users can configure is in `settings`.
"""

from __future__ import annotations

# The size of a response.

#: A response of the Track API. The largest one has an error for each operation of a full batch of the
#: smallest operations, and is below 1 MB.
TRACK_RESPONSE_BYTES = 4_000_000
#: A response of the App API: a page of activities, or all segments of a workspace with about 400 bytes each.
APP_RESPONSE_BYTES = 16_000_000
#: The status line, headers and chunk framing of a response. Customer.io sends less than 1 kB.
HEADER_BYTES = 256_000

# Time.

#: Seconds for a TCP connection and its TLS handshake. A server that needs longer counts as unavailable.
CONNECT_SECONDS = 10.0
#: Seconds between two checks whether the client was stopped. Five checks a second cost nothing, and Airflow
#: gives a task that it kills 5 seconds.
STOP_CHECK_SECONDS = 0.2
#: The longest Retry-After that is honored, in seconds. Customer.io's own client has the same bound.
MAX_RETRY_AFTER = 300.0
#: The first pause before a request is repeated, in seconds.
FIRST_BACKOFF = 0.5
#: The ratio of a pause to the pause before it. A small ratio notices the end of an outage soon.
BACKOFF_GROWTH = 1.5
#: The longest pause without a Retry-After, in seconds.
MAX_BACKOFF = 30.0
#: After a 429, one request at a time probes whether requests are allowed again. If a probe gets no response
#: within these seconds, the next request may probe.
PROBE_SECONDS = 5.0

# The activity log.

#: Pages of the activity log that are read for one activity type: 60,000 activities.
ACTIVITY_PAGES = 600
#: Consecutive pages without an activity after which the log counts as read.
EMPTY_ACTIVITY_PAGES = 10
#: Seconds for reading the activity log. At 10 requests a second they are enough for all its pages.
ACTIVITY_SECONDS = 60.0

# People that do not exist.

#: Seconds for looking up the people of a sync that creates none: 60,000 by id, or 600 by email address.
PEOPLE_SECONDS = 60.0
