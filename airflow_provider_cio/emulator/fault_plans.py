"""Plans for injected faults: which request meets which fault.

A plan has one of three forms::

    {"rate": 0.2, "kinds": ["429", "503", "reset", "truncate"], "seed": 1}
    {"schedule": ["429", null, {"kind": "hang", "seconds": 5, "applied": true}]}
    {"storm": "429", "seconds": 15}

Each request takes one entry of a schedule. null is a request without a fault, and so is every request after
the end of the list. A storm begins with the first request, and every request meets it until its seconds are
over.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

Status: TypeAlias = Literal["408", "429", "500", "502", "503", "504", "522"]
Page: TypeAlias = Literal["html", "html_400"]
Body: TypeAlias = Literal[
    "empty", "null", "list", "text", "message", "cut_json", "bad_utf8", "deep_json",
    "accepted", "207_empty", "207_index", "400_message",
]  # fmt: skip
Lost: TypeAlias = Literal["hang", "reset", "reset_before", "close", "truncate"]
Raw: TypeAlias = Literal[
    "bad_status", "bad_header", "bad_length", "bad_chunk", "bad_gzip", "gzip_bomb",
    "many_headers", "endless_headers", "endless_body", "endless_chunks",
    "drip_headers", "drip_body",
]  # fmt: skip
#: All kinds are transient, except ``refusal``: a documented 400 that does not name an operation.
Kind: TypeAlias = Status | Page | Body | Lost | Raw | Literal["refusal"]


class InjectedFault(Struct):
    """What replaces a response.

    Args:
        kind: A status; ``html`` or ``html_400``, a web page; a complete response without a verdict
            (`BODIES`); ``hang``, silence, then a closed connection; ``reset``; ``reset_before``, a reset
            before the request is applied; ``close``, a closed connection without a response; ``truncate``, a
            response that ends too early; or bytes that are damaged or endless (`DAMAGED`) or slow (`drip`).
        retry_after: The header ``Retry-After`` of a status, in seconds or as a text; None omits the header.
        seconds: How long a ``hang`` lasts, and how long a slow response continues.
        applied: Whether the request is applied; by default only with ``reset`` and ``truncate``.
    """

    kind: Kind
    retry_after: int | str | None = None
    seconds: float = 60
    applied: bool | None = None


class ByChance(Struct, forbid_unknown_fields=True):
    """Each request meets one of the kinds with probability `rate`. A `seed` makes the sequence repeatable."""

    rate: Annotated[float, Meta(ge=0, le=1)]
    kinds: Annotated[list[Kind | InjectedFault], Meta(min_length=1)]
    seed: int | None = None


class BySchedule(Struct, forbid_unknown_fields=True):
    """Each request takes one entry."""

    schedule: list[Kind | InjectedFault | None]


class Storm(Struct, forbid_unknown_fields=True):
    """Each request meets the fault, for these seconds from the first request on."""

    storm: Kind | InjectedFault
    seconds: Annotated[float, Meta(ge=0)]


FaultPlan: TypeAlias = ByChance | BySchedule | Storm


def parse_plan(body: bytes) -> FaultPlan:
    """Parse the plan in a request body.

    Raises:
        msgspec.DecodeError: The body has none of the three forms.
    """
    keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if "schedule" in keys:
        return msgspec.json.decode(body, type=BySchedule)
    if "storm" in keys:
        return msgspec.json.decode(body, type=Storm)
    return msgspec.json.decode(body, type=ByChance)


class FaultInjector:
    """Choose the fault of each request, and count the faults by kind."""

    def __init__(self) -> None:
        self.plan: FaultPlan | None = None
        self.counts: Counter[str] = Counter()
        self._random = random.Random()  # noqa: S311 - not a secret
        self._end_of_storm: float | None = None

    def start(self, plan: FaultPlan | None) -> None:
        """Start a plan and reset the counts; None ends all faults."""
        self.plan = plan
        self.counts.clear()
        self._end_of_storm = None
        if isinstance(plan, ByChance):
            self._random.seed(plan.seed)

    def next(self) -> InjectedFault | None:
        """Return the fault of the next request; None if it has none."""
        fault = self._choose()
        if isinstance(fault, str):
            fault = InjectedFault(fault)
        self.counts[fault.kind if fault else "healthy"] += 1
        return fault

    def _choose(self) -> Kind | InjectedFault | None:
        match self.plan:
            case ByChance(rate=rate, kinds=kinds) if self._random.random() < rate:
                return self._random.choice(kinds)
            case BySchedule(schedule=[_, *_] as schedule):
                return schedule.pop(0)
            case Storm(storm=fault, seconds=seconds):
                now = time.monotonic()
                if self._end_of_storm is None:
                    self._end_of_storm = now + seconds
                return fault if now < self._end_of_storm else None
        return None
