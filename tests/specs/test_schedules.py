"""Schedules: times that divide a day, as cron expressions."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from croniter import croniter

from airflow_provider_cio.specs.schedules import crons_for, spread_offset
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from tests.specs.conftest import Folder

DAY = 24 * 60
DIVISORS = [minutes for minutes in range(1, DAY + 1) if DAY % minutes == 0]


def ticks(crons: list[str]) -> list[int]:
    """List the minutes of a day at which cron expressions fire."""
    start = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    found = set()
    for cron in crons:
        times = croniter(cron, start - dt.timedelta(seconds=1), ret_type=dt.datetime)
        while (time := times.get_next()) < start + dt.timedelta(days=1):
            found.add(int((time - start).total_seconds()) // 60)
    return sorted(found)


@pytest.mark.parametrize("offset", [0, 7])
@pytest.mark.parametrize("minutes", DIVISORS)
def test_every_time_that_divides_a_day_is_exact(minutes: int, offset: int) -> None:
    """From midnight on, or from so many minutes after it, without a gap that is longer or shorter."""
    crons = crons_for(dt.timedelta(minutes=minutes), offset)
    assert ticks(crons) == list(range(offset % minutes, DAY, minutes))


@pytest.mark.parametrize(
    ("every", "crons"),
    [
        ("15 minutes", ["*/15 * * * *"]),
        ("1 hour", ["0 * * * *"]),
        ("2 hours", ["0 */2 * * *"]),
        ("1 day", ["0 0 * * *"]),
        ("45 minutes", ["0,45 */3 * * *", "15 2-23/3 * * *", "30 1-23/3 * * *"]),
    ],
)
def test_a_time_becomes_cron_as_people_write_it(folder: Folder, every: str, crons: list[str]) -> None:
    """One expression where that is enough; 45 minutes do not divide an hour and take three."""
    assert folder.load(GOOD + f"schedule: {{every: {every}}}\n").crons == crons


def test_a_spread_sync_has_a_minute_of_its_own(folder: Folder) -> None:
    """Fifty hourly syncs start all over the hour, each at the same minute at every parse."""
    text = GOOD + "schedule: {every: 1 hour}\nspread: true\n"
    crons = {folder.load(text.replace("active_people", f"sync_{n}")).crons[0] for n in range(50)}
    assert len(crons) > 25
    assert folder.load(text).crons == folder.load(text).crons == ["47 * * * *"]
    assert spread_offset("a", dt.timedelta(minutes=1)) == 0
