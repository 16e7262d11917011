"""Loaders that turn values of Postgres into values of JSON.

psycopg's own loaders read booleans, integers, doubles, numerics and text. The loaders here add the rest:

* Dates and times become Unix seconds. They do not pass through `datetime`, which ends with the year 9999.
* A real keeps the digits that Postgres displays.
* JSON is passed through unread.

Types without a JSON form of their own are cast to text in the query (see `types`).
"""

from __future__ import annotations

import datetime as dt
import socket
from math import isfinite
from struct import Struct
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg.adapt import Loader
from psycopg.pq import Format

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Buffer

    from airflow_provider_cio.engine.sources.protocol import Timestamps

_float32 = Struct("!f")
#: Numbers of significant digits. With 9, every real is parsed back to the same real.
_REAL_DIGITS = range(1, 10)
#: From this number on, a double is rounded to an infinite real.
_TOO_LARGE_FOR_REAL = (2 - 2**-24) * 2.0**127
_int32 = Struct("!i").unpack
_int64 = Struct("!q").unpack

_IPV6_BYTES = 16

_MICROSECOND = 1_000_000
_DAY = 86_400
#: The seconds from 1970-01-01, where Unix time starts, to 2000-01-01, where Postgres's time starts.
_OFFSET = 946_684_800
#: The largest and smallest values of the binary formats stand for ``infinity`` and ``-infinity``.
_INFINITE_DAYS = (2**31 - 1, -(2**31))
_INFINITE_MICROSECONDS = (2**63 - 1, -(2**63))

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: The seconds of the years 1 to 9999, which ISO 8601 and `datetime` support.
_ISO_SECONDS = range(-62_135_596_800, 253_402_300_800)


class _Real(Loader):
    """Reads a real as the double with the fewest digits: 0.1 instead of 0.10000000149011612."""

    format = Format.BINARY

    def load(self, data: Buffer) -> float:
        (value,) = _float32.unpack(data)
        if not isfinite(value):
            return float(value)
        for digits in _REAL_DIGITS:
            rounded = float(f"{value:.{digits}g}")
            if abs(rounded) < _TOO_LARGE_FOR_REAL and _float32.unpack(_float32.pack(rounded)) == (value,):
                return rounded
        return float(value)


class _UnixDate(Loader):
    """Reads a date as the Unix seconds of its midnight in UTC."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        (days,) = _int32(data)
        return None if days in _INFINITE_DAYS else days * _DAY + _OFFSET


class _IsoDate(_UnixDate):
    """Reads a date as ISO 8601, or as Unix seconds outside the years of ISO 8601."""

    def load(self, data: Buffer) -> Any:
        seconds = super().load(data)
        if seconds is None or seconds not in _ISO_SECONDS:
            return seconds
        return (_EPOCH + dt.timedelta(seconds=seconds)).date().isoformat()


class _UnixTimestamp(Loader):
    """Reads a timestamp as Unix seconds, rounded down. Naive timestamps arrive here only in UTC sessions."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        (microseconds,) = _int64(data)
        return None if microseconds in _INFINITE_MICROSECONDS else microseconds // _MICROSECOND + _OFFSET


class _IsoTimestamp(_UnixTimestamp):
    """Reads a timestamp as ISO 8601 in UTC, or as Unix seconds outside the years of ISO 8601."""

    def load(self, data: Buffer) -> Any:
        seconds = super().load(data)
        if seconds is None or seconds not in _ISO_SECONDS:
            return seconds
        (microseconds,) = _int64(data)
        moment = _EPOCH + dt.timedelta(seconds=seconds, microseconds=microseconds % _MICROSECOND)
        return moment.isoformat().replace("+00:00", "Z")


class _Json(Loader):
    """Passes JSON through unread, so that numbers keep all their digits."""

    format = Format.BINARY

    def load(self, data: Buffer) -> msgspec.Raw:
        return msgspec.Raw(bytes(data))


class _Jsonb(_Json):
    """Passes JSON through without its first byte, which is the version of the format."""

    def load(self, data: Buffer) -> msgspec.Raw:
        return msgspec.Raw(bytes(data)[1:])


class _Inet(Loader):
    """Reads an address as Postgres displays it. A cast to text would add ``/32`` to a single address."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        bits, address = data[1], bytes(data)[4:]
        family = socket.AF_INET6 if len(address) == _IPV6_BYTES else socket.AF_INET
        text = socket.inet_ntop(family, address)
        return text if bits == len(address) * 8 else f"{text}/{bits}"


def register_loaders(context: AdaptContext, timestamps: Timestamps) -> None:
    """Make a connection read values as JSON values.

    Args:
        context: The connection.
        timestamps: What dates and times become.
    """
    date: type[_UnixDate]
    timestamp: type[_UnixTimestamp]
    date, timestamp = (_UnixDate, _UnixTimestamp) if timestamps == "unix" else (_IsoDate, _IsoTimestamp)
    loaders: dict[str, type[Loader]] = {
        "float4": _Real,
        "date": date,
        "timestamp": timestamp,
        "timestamptz": timestamp,
        "inet": _Inet,
        "json": _Json,
        "jsonb": _Jsonb,
    }
    for name, loader in loaders.items():
        context.adapters.register_loader(name, loader)
