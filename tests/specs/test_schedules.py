"""Schedules: intervals that divide a day become cron expressions, and cron expressions are checked."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pendulum
import pytest
from airflow.sdk import DAG, CronTriggerTimetable
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
from airflow.utils.dates import cron_presets
from croniter import croniter

from airflow_provider_cio.specs.schedules import PRESETS, checked_cron, crons_for, spread_offset
from tests.specs.conftest import GOOD

if TYPE_CHECKING:
    from tests.specs.conftest import Folder

DAY = 24 * 60
DIVISORS = [minutes for minutes in range(1, DAY + 1) if DAY % minutes == 0]


def ticks(crons: list[str]) -> list[int]:
    """Return the minutes of a day at which cron expressions fire."""
    start = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    found = set()
    for cron in crons:
        times = croniter(cron, start - dt.timedelta(seconds=1), ret_type=dt.datetime)
        while (time := times.get_next()) < start + dt.timedelta(days=1):
            found.add(int((time - start).total_seconds()) // 60)
    return sorted(found)


@pytest.mark.parametrize("offset", [0, 7])
@pytest.mark.parametrize("minutes", DIVISORS)
def test_every_interval_that_divides_a_day_is_exact(minutes: int, offset: int) -> None:
    """Runs start at midnight, or some minutes later, and no gap between them is longer or shorter."""
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
def test_an_interval_becomes_short_cron_expressions(folder: Folder, every: str, crons: list[str]) -> None:
    """Most intervals need one expression. 45 minutes do not divide an hour and need three."""
    assert folder.load(GOOD + f"schedule: {{every: {every}}}\n").crons == crons


def test_a_spread_sync_has_a_minute_of_its_own(folder: Folder) -> None:
    """Fifty hourly syncs start at many minutes of the hour, each at the same minute at every parse."""
    text = GOOD + "schedule: {every: 1 hour}\nspread: true\n"
    crons = {folder.load(text.replace("active_people", f"sync_{n}")).crons[0] for n in range(50)}
    assert len(crons) > 25
    assert folder.load(text).crons == folder.load(text).crons == ["47 * * * *"]
    assert spread_offset("a", dt.timedelta(minutes=1)) == 0


@pytest.mark.parametrize(
    "cron",
    [
        "*/30 * * * *",
        "0 0 L * *",
        "0 0 * * L5",
        "0 0 * * 1#2",
        "0 0 * * fri#2",
        "0 0 1 JAN *",
        "0 0 * jan-dec mon",
        "0 0 * * MON-FRI",
        "0 0 * * 7",
        "0 0 15W * *",
        "0 0 ? * *",
        "5-1 * * * *",
        "* 22-2 * * *",
        "*/61 * * * *",
        "  0\t0  * * *\n",
        "0 0 29 2 *",
        *PRESETS,
    ],
)
def test_a_cron_expression_that_is_accepted_runs_in_airflow(cron: str) -> None:
    """The scheduler computes the same times at each parse."""
    dag = DAG("a", schedule=CronTriggerTimetable(checked_cron(cron), timezone="Europe/Berlin"))
    times = []
    for _ in range(2):
        timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
        timetable.validate()
        restriction = TimeRestriction(pendulum.datetime(2026, 3, 28, 12), None, catchup=True)
        info = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
        assert info
        times.append(info.run_after)
    assert times[0] == times[1]


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("R * * * *", "has R or H, for which Airflow picks"),
        ("R(0-5) * * * *", "has R or H, for which Airflow picks"),
        ("0 r * * *", "has R or H, for which Airflow picks"),
        ("H H * * *", "has R or H, for which Airflow picks"),
        ("H(1-3) * * * *", "has R or H, for which Airflow picks"),
        ("@reboot", "is not a valid cron expression"),
        ("@once", "is not a valid cron expression"),
        ("@continuous", "is not a valid cron expression"),
        ("@midnight", "is not a valid cron expression"),
        ("@Daily", "is not a valid cron expression"),
        ("* * * * * *", "is not a valid cron expression"),
        ("0 0 1 1 * 0 2027", "is not a valid cron expression"),
        ("* * * *", "is not a valid cron expression"),
        ("60 * * * *", "is not a valid cron expression"),
        ("-1 * * * *", "is not a valid cron expression"),
        ("*/0 * * * *", "is not a valid cron expression"),
        ("*/1.5 * * * *", "is not a valid cron expression"),
        ("1,2,,3 * * * *", "is not a valid cron expression"),
        ("0 0 0 * *", "is not a valid cron expression"),
        ("0 0 * * 8", "is not a valid cron expression"),
        ("0 0 * * 5L", "is not a valid cron expression"),
        ("0 0 * * 1#6", "is not a valid cron expression"),
        ("0 0 L-3 * *", "is not a valid cron expression"),
        ("٣ * * * *", "is not a valid cron expression"),
        ("0 0 31 2 *", "never runs"),
        ("0 0 1 * L1", "never runs"),
        ("", "is not a valid cron expression"),
    ],
)
def test_a_cron_expression_that_airflow_would_not_run_is_refused(cron: str, message: str) -> None:
    """Expressions that croniter accepts, and that mean random times, are refused too."""
    with pytest.raises(ValueError, match=message):
        checked_cron(cron)


def test_the_names_of_schedules_are_those_of_airflow() -> None:
    """Its timetables accept no other names."""
    assert cron_presets == PRESETS
