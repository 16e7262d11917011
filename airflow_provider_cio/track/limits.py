"""The limits of the APIs, from their published descriptions (lengths in bytes of UTF-8)."""

#: A batch request. "500kb" is read as the smaller of its two meanings.
BATCH_BYTES = 500_000
#: What surrounds the operations of a batch.
ENVELOPE_BYTES = len(b'{"batch":[]}')
#: One operation of a batch.
OPERATION_BYTES = 32_000
#: An id, an e-mail address as identifier, an object id.
IDENTIFIER_BYTES = 150
#: Attributes of one person or one identify operation.
ATTRIBUTES = 300
#: People in one request that adds them to a segment.
SEGMENT_PEOPLE = 1_000
#: Activities on one page of the App API.
ACTIVITIES = 100
#: What the App API allows.
APP_REQUESTS_PER_SECOND = 10

# Our own bounds, for a server that is damaged or hostile.

#: An answer of the Track API. A full batch of the smallest operations, each with one error, is below 1 MB.
TRACK_ANSWER_BYTES = 4_000_000
#: An answer of the App API: all segments of a workspace, of about 400 bytes each, or a page of activities.
APP_ANSWER_BYTES = 16_000_000
#: Status line, headers and framing of an answer. Customer.io's have less than 1 kB.
HEADER_BYTES = 256_000
#: A TCP connection and its TLS handshake. What takes longer is an outage.
CONNECT_SECONDS = 10.0
#: How soon a stopped client notices. Five times a second costs nothing, and a killed task has 5 seconds.
NOTICE_SECONDS = 0.2
#: The longest Retry-After that is obeyed; Customer.io's own client stops at the same.
LONGEST_RETRY_AFTER = 300.0
#: The first pause before a request is repeated.
FIRST_BACKOFF = 0.5
#: Each pause is so many times longer than the one before, so that none outlasts the outage before it.
BACKOFF_GROWTH = 1.5
#: The longest pause that we choose ourselves.
LONGEST_BACKOFF = 30.0
#: After a 429 one request tries whether the others may go on; after so long without an answer the next does.
PROBE_SECONDS = 5.0
#: Pages of the activity log that are read for one kind: 60,000 activities.
ACTIVITY_PAGES = 600
#: Pages without an activity that are read one after the other before the log counts as read.
EMPTY_ACTIVITY_PAGES = 10
#: Seconds for which the activity log is read: at 10 requests a second enough for all its pages.
ACTIVITY_SECONDS = 60.0
#: Single rows that Customer.io refuses in the same words, before it accepts any, until the run gives up.
REFUSALS = 20
#: The same later in a run, without an acceptance between them. Rows that share a mistake may follow one
#: another, but so many are 10 seconds of requests, and one mistake in the query rather than in rows.
LATER_REFUSALS = 1_000
