"""Operations are sent in batches, and verdicts come back.

* `lanes` distributes the operations of a query over its lanes.
* `lane` collects operations into batches and keeps their order.
* `batches` sends one batch, and splits it where Customer.io refuses the whole.
* `refusal_limit` ends a run when everything is refused.
* `segment` adds imported people to a manual segment.
* `workspace` is the protocol of the receiver: `TrackClient`, or `DryRun`.
"""
