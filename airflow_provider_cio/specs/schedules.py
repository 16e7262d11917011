"""When a sync runs: ``every`` so many minutes, hours or a day becomes cron, which never drifts.

A run every 45 minutes cannot be said in one cron expression, since hours do not have a whole number of them;
a day does. So whatever divides a day becomes as many expressions as that takes.
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
#: What Airflow knows by name; its list is checked by a test.
PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
#: Five fields. A sixth would be seconds, which Airflow takes and cron does not have.
_CRON = re.compile(r"[0-9A-Za-z*/,#?-]+(?: [0-9A-Za-z*/,#?-]+){4}").fullmatch
_RANDOM = re.compile(r"(?<![A-Za-z])[RrHh](?![A-Za-z])").search
#: The leap years 2096 and 2104 are eight years apart: what does not fire in so many never does.
_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@cache
def checked_cron(text: str) -> str:
    """Give a cron expression with single spaces when Airflow runs it at the times that it says.

    Raises:
        ValueError: It does not, or never fires.
    """
    from airflow.exceptions import AirflowTimetableInvalid  # noqa: PLC0415 - a spec with `every` needs none
    from airflow.timetables.trigger import CronTriggerTimetable  # noqa: PLC0415

    cron = " ".join(text.split())
    if _RANDOM(cron):
        raise ValueError(
            f"{cut(text)!r} has R or H, a time at random, which is another whenever Airflow looks: give the"
            " minute, or every: 1 hour with spread: true"
        )
    if not _CRON(cron) and cron not in PRESETS:
        raise ValueError(_not_cron(text))
    try:
        timetable = CronTriggerTimetable(cron, timezone="UTC")
        timetable.validate()
        croniter(PRESETS.get(cron, cron), _START).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{cut(text)!r} never fires: there is no such day") from None
    except (AirflowTimetableInvalid, ValueError, LookupError, TypeError):
        raise ValueError(_not_cron(text)) from None
    return cron


def _not_cron(text: str) -> str:
    return (
        f'{cut(text)!r} is no cron expression: five fields, such as "*/30 * * * *" for every half hour,'
        f" every: 30 minutes, or one of {', '.join(PRESETS)}"
    )


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
