"""Numbers, durations and ages as a person reads them."""

from __future__ import annotations

import datetime as dt

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
#: Units of an age, largest first: its seconds, its name, and from how many seconds it is used.
_UNITS = (
    (_DAY, "day", 2 * _DAY),
    (_HOUR, "hour", 2 * _HOUR),
    (_MINUTE, "minute", 2 * _MINUTE),
    (1, "second", 0),
)
_BYTES = 1_000
#: Seconds up to which tenths are shown.
_TENTHS_BELOW = 10
#: What a page shows for a value that does not exist.
_NOTHING = "\N{EN DASH}"


def number(value: float | None) -> str:
    """Write a whole number with separators; a dash for None."""
    return _NOTHING if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Write a duration in the two largest units."""
    if seconds is None:
        return _NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        digits = 1 if seconds < _TENTHS_BELOW else 0
        return f"{seconds:.{digits}f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02} h"


def age(time: dt.datetime | None, now: dt.datetime) -> str:
    """Write how long ago a time was, or in how long it will be."""
    if time is None:
        return ""
    seconds = (now - time).total_seconds()
    size = abs(seconds)
    if size < 1:
        return "now"
    unit, name, _ = next(each for each in _UNITS if size >= each[2])
    count = int(size // unit)
    words = f"{count} {name}{'' if count == 1 else 's'}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def size(count: int) -> str:
    """Write a number of bytes in the largest unit."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < _BYTES or unit == "GB":
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= _BYTES
    return ""


def iso(time: dt.datetime) -> str:
    """Write a time for the ``datetime`` attribute."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(time: dt.datetime) -> str:
    """Write a time as Airflow does; the page's script writes it in the reader's time zone."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
