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
