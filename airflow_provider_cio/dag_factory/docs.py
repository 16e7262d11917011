"""What Airflow shows about the DAG of a sync: a sentence, and its spec."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_cio.specs.effective import spec_text
from airflow_provider_cio.specs.model import duration_text

if TYPE_CHECKING:
    from airflow_provider_cio.specs.model import SyncSpec


def documentation(spec: SyncSpec) -> str:
    """Say in a sentence what a sync does, then show its spec as it is after its defaults."""
    parts = {"people": spec.people, "objects": spec.objects, "relationships": spec.relationships}
    what = " and ".join(name for name, part in parts.items() if part)
    segment = spec.people.segment if spec.people else None
    into = f", and adds the people to the segment {_code(str(segment.name or segment.id))}" if segment else ""
    sentence = (
        f"{_when(spec)}, imports {what} from {_code(spec.postgres_conn_id)} into the workspace"
        f" **{spec.workspace}**{into}."
    )
    # A quote ends where it ends, whatever Markdown it holds.
    description = "\n".join(f"> {line}" for line in spec.description.strip().splitlines())
    return "\n\n".join(filter(None, (description, sentence, fenced("yaml", spec_text(spec)))))


def fenced(language: str, text: str) -> str:
    """Show a text as it is: the fence is longer than every row of backticks in it."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"


def _code(text: str) -> str:
    """Show a word of a spec in a sentence."""
    text = " ".join(text.split())
    ticks = "`" * (_longest_ticks(text) + 1)
    space = " " if "`" in text else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _when(spec: SyncSpec) -> str:
    if not spec.schedule:
        return "When somebody triggers it"
    if spec.schedule.assets:
        return f"When {' and '.join(map(_code, spec.schedule.assets))} were updated"
    if spec.schedule.every:
        return f"Every {duration_text(spec.schedule.every)}"
    return f"At `{spec.schedule.cron}` ({spec.timezone})"
