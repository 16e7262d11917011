"""Charts as paths of inline SVG, which need no script and no inline style.

All bars of one color are one path, so that 500 sparklines make a small page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_cio.plugin.outcomes import RunView

#: A bar of a run without rows is a hairline, so that the run is seen.
_SMALLEST = 1.5
#: Heights in a sparkline: its bars, the top of its line, and the line.
_BARS, _LINE_TOP, _LINE = 20, 24, 7


@dataclass(frozen=True)
class Sparkline:
    """The latest runs of a sync: a bar for the rows of each, a line for its duration.

    Args:
        bars: Path data by the CSS class of a status.
        line: The points of the line; empty for a single run.
        text: The same in words.
    """

    bars: dict[str, str]
    line: str
    text: str


@dataclass(frozen=True)
class Bar:
    """A bar of a chart, in units of the chart's view box."""

    x: float
    width: float
    y: float
    height: float
    view: RunView


@dataclass(frozen=True)
class BarChart:
    """A chart with a bar for each run, oldest first.

    Args:
        bars: The bars.
        largest: The value at the top of the chart.
        width: Width of the view box.
        height: Height of the view box.
    """

    bars: list[Bar]
    largest: float
    width: int
    height: int


def sparkline(views: Sequence[RunView], *, runs: int, width: int = 96) -> Sparkline:
    """Draw the latest runs of a sync, oldest first: bars for rows, and below them a line for durations.

    Args:
        views: The runs.
        runs: How many have room.
        width: Width of the view box.
    """
    step = width / runs
    most = max((view.read for view in views), default=0) or 1
    longest = max((view.seconds or 0 for view in views), default=0) or 1
    bars: dict[str, str] = {}
    points = []
    for number, view in enumerate(views):
        tall = max(view.read / most * _BARS, _SMALLEST)
        x = step * number
        bars[view.status.slug] = (
            f"{bars.get(view.status.slug, '')}M{x:.0f} {_BARS}v{-tall:.1f}h{step - 2:.0f}v{tall:.1f}z"
        )
        y = _LINE_TOP + (1 - (view.seconds or 0) / longest) * _LINE
        points.append(f"{x + step / 2 - 1:.0f},{y:.1f}")
    rows = ", ".join(f"{view.read:,}" for view in views)
    return Sparkline(bars, " ".join(points) if len(points) > 1 else "", f"Rows of the latest runs: {rows}")


def bar_chart(
    views: Sequence[RunView],
    values: Sequence[float],
    *,
    slots: int,
    width: int = 1000,
    height: int = 80,
) -> BarChart:
    """Draw a bar for each run, oldest first, aligned to the right.

    Args:
        views: The runs.
        values: The value of each run.
        slots: How many bars have room.
        width: Width of the view box.
        height: Height of the view box.
    """
    step = width / max(slots, 1)
    offset = width - step * len(views)
    largest = max(values, default=0.0)
    bars = []
    for number, (view, value) in enumerate(zip(views, values, strict=True)):
        tall = max(value / (largest or 1) * height, _SMALLEST)
        bars.append(
            Bar(
                round(offset + step * number, 2),
                round(step * 0.8, 2),
                round(height - tall, 2),
                round(tall, 2),
                view,
            )
        )
    return BarChart(bars, largest, width, height)
