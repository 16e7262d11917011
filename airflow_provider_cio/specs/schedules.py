"""When a sync runs: ``every`` so many minutes, hours or a day becomes cron, which never drifts.

A run every 45 minutes cannot be said in one cron expression, since hours do not have a whole number of them;
a day does. So whatever divides a day becomes as many expressions as that takes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from functools import cache

from croniter import CroniterBadDateError, croniter

_MINUTES_OF_HOUR = 60
_HOURS_OF_DAY = 24
_MINUTES_OF_DAY = _MINUTES_OF_HOUR * _HOURS_OF_DAY
_CRON_FIELDS = 5
#: The leap years 2096 and 2104 are eight years apart: what does not fire in so many never does.
_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@cache
def check_cron(text: str) -> None:
    """Do nothing when a text is a cron expression that fires.

    Raises:
        ValueError: It is not.
    """
    fields = text.split()
    if (len(fields) != _CRON_FIELDS and not text.startswith("@")) or not croniter.is_valid(text):
        raise ValueError(
            f'{text!r} is no cron expression: five fields, such as "*/30 * * * *" for every half hour,'
            " or every: 30 minutes"
        )
    try:
        croniter(text, _START).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{text!r} never fires: there is no such day") from None


def divides_a_day(every: dt.timedelta) -> bool:
    """Tell whether a day has a whole number of these, each of whole minutes."""
    minutes, seconds = divmod(every.total_seconds(), _MINUTES_OF_HOUR)
    return not seconds and 0 < minutes <= _MINUTES_OF_DAY and _MINUTES_OF_DAY % minutes == 0


def neighbours(every: dt.timedelta) -> tuple[dt.timedelta, dt.timedelta]:
    """Give the next shorter and the next longer time that divides a day."""
    wanted = every.total_seconds() / 60
    divisors = [minutes for minutes in range(1, _MINUTES_OF_DAY + 1) if _MINUTES_OF_DAY % minutes == 0]
    shorter = max((minutes for minutes in divisors if minutes < wanted), default=divisors[0])
    longer = min((minutes for minutes in divisors if minutes > wanted), default=divisors[-1])
    return dt.timedelta(minutes=shorter), dt.timedelta(minutes=longer)


def crons_for(every: dt.timedelta, offset: int = 0) -> list[str]:
    """Write a time that divides a day as cron expressions, from midnight on.

    Args:
        every: The time from run to run.
        offset: Minutes after midnight at which to start.
    """
    step = int(every.total_seconds()) // 60
    hours_by_minute: dict[int, list[int]] = defaultdict(list)
    for tick in range(offset % step, _MINUTES_OF_DAY, step):
        hour, minute = divmod(tick, _MINUTES_OF_HOUR)
        hours_by_minute[minute].append(hour)
    minutes_by_hours: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for minute, hours in sorted(hours_by_minute.items()):
        minutes_by_hours[tuple(hours)].append(minute)
    return [
        f"{_field(minutes, _MINUTES_OF_HOUR)} {_field(hours, _HOURS_OF_DAY)} * * *"
        for hours, minutes in minutes_by_hours.items()
    ]


def spread_offset(name: str, every: dt.timedelta) -> int:
    """Give each sync a minute of its own in its interval, the same at every parse and on every machine."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8]) % (int(every.total_seconds()) // 60)


def _field(values: list[int] | tuple[int, ...], size: int) -> str:
    """Write one field as short as cron allows."""
    step = values[1] - values[0] if len(values) > 1 else size
    if len(values) == 1 or size % step or list(values) != list(range(values[0], size, step)):
        return ",".join(map(str, values))
    if step == 1:
        return "*"
    return f"*/{step}" if values[0] == 0 else f"{values[0]}-{size - 1}/{step}"
