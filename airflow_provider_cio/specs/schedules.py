"""When a sync runs: an interval becomes cron expressions, which never drift.

One cron expression cannot run every 45 minutes, because 45 minutes do not divide an hour. They divide a
day. So each interval that divides a day becomes as many expressions as it needs.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import defaultdict
from functools import cache

from croniter import CroniterBadDateError, croniter

from airflow_provider_cio.specs.problems import cut

_MINUTES_OF_HOUR = 60
_HOURS_OF_DAY = 24
_MINUTES_OF_DAY = _MINUTES_OF_HOUR * _HOURS_OF_DAY
#: The presets of Airflow. A test compares them with Airflow's own list.
PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
#: Matches five fields. Airflow also accepts a sixth one for seconds, which cron does not have.
_CRON = re.compile(r"[0-9A-Za-z*/,#?-]+(?: [0-9A-Za-z*/,#?-]+){4}").fullmatch
_RANDOM = re.compile(r"(?<![A-Za-z])[RrHh](?![A-Za-z])").search
#: croniter looks at the years after this one. A day that does not exist in them never comes.
_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@cache
def checked_cron(text: str) -> str:
    """Return a cron expression with single spaces.

    Raises:
        ValueError: Airflow cannot run it, runs it at random times, or never runs it.
    """
    from airflow.exceptions import AirflowTimetableInvalid  # noqa: PLC0415 - a spec with `every` needs none
    from airflow.timetables.trigger import CronTriggerTimetable  # noqa: PLC0415

    cron = " ".join(text.split())
    if _RANDOM(cron):
        raise ValueError(
            f"{cut(text)!r} has R or H, for which Airflow picks another random time at each parse: give the"
            " minute, or every: 1 hour with spread: true"
        )
    if not _CRON(cron) and cron not in PRESETS:
        raise ValueError(_not_cron(text))
    try:
        timetable = CronTriggerTimetable(cron, timezone="UTC")
        timetable.validate()
        croniter(PRESETS.get(cron, cron), _START).get_next()
    except CroniterBadDateError:
        raise ValueError(
            f"{cut(text)!r} never runs, because there is no such day: correct the day or the month"
        ) from None
    except (AirflowTimetableInvalid, ValueError, LookupError, TypeError):
        raise ValueError(_not_cron(text)) from None
    return cron


def _not_cron(text: str) -> str:
    return (
        f'{cut(text)!r} is not a valid cron expression: give five fields, such as "*/30 * * * *" for every'
        f" half hour, every: 30 minutes, or one of {', '.join(PRESETS)}"
    )


def divides_a_day(every: dt.timedelta) -> bool:
    """Return whether an interval of whole minutes divides a day."""
    minutes, seconds = divmod(every.total_seconds(), _MINUTES_OF_HOUR)
    return not seconds and 0 < minutes <= _MINUTES_OF_DAY and _MINUTES_OF_DAY % minutes == 0


def neighbours(every: dt.timedelta) -> tuple[dt.timedelta, dt.timedelta]:
    """Return the next shorter and the next longer interval that divide a day."""
    wanted = every.total_seconds() / 60
    divisors = [minutes for minutes in range(1, _MINUTES_OF_DAY + 1) if _MINUTES_OF_DAY % minutes == 0]
    shorter = max((minutes for minutes in divisors if minutes < wanted), default=divisors[0])
    longer = min((minutes for minutes in divisors if minutes > wanted), default=divisors[-1])
    return dt.timedelta(minutes=shorter), dt.timedelta(minutes=longer)


def crons_for(every: dt.timedelta, offset: int = 0) -> list[str]:
    """Return the cron expressions of an interval that divides a day.

    Args:
        every: The interval between two runs.
        offset: The minutes after midnight of the first run.
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
    """Return a minute of the interval for a sync. It is the same at every parse and on every machine."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8]) % (int(every.total_seconds()) // 60)


def _field(values: list[int] | tuple[int, ...], size: int) -> str:
    """Write one field of a cron expression, as short as possible."""
    step = values[1] - values[0] if len(values) > 1 else size
    if len(values) == 1 or size % step or list(values) != list(range(values[0], size, step)):
        return ",".join(map(str, values))
    if step == 1:
        return "*"
    return f"*/{step}" if values[0] == 0 else f"{values[0]}-{size - 1}/{step}"
