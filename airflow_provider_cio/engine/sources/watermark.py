"""The last sync time of the next run, whatever the database."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Seconds that are subtracted where the starts of transactions are hidden. Most transactions of applications
#: are shorter.
DEFAULT_OVERLAP = 60
#: Seconds by which one forgotten transaction can hold the last sync time back. Without this limit, every run
#: would send hours of changes again.
DEFAULT_MAX_LOOKBACK = 3600


@dataclass(frozen=True)
class Watermark:
    """The last sync time of the next run.

    Args:
        next_last_sync_time: Unix seconds. None where the clock of the source is unknown: the stored last
            sync time then stays as it is.
        warnings: Warnings for people, one or two sentences each.
    """

    next_last_sync_time: int | None
    warnings: list[str] = field(default_factory=list)
