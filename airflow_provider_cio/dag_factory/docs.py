"""The documentation of a DAG: a sentence, and the effective spec."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_cio.specs.effective import effective_yaml
from airflow_provider_cio.specs.fields import duration_text

if TYPE_CHECKING:
    from airflow_provider_cio.specs.model import SyncSpec


def documentation(spec: SyncSpec) -> str:
    """Return what a sync does, in a sentence, and its spec with the defaults, as Markdown."""
    parts = {"people": spec.people, "objects": spec.objects, "relationships": spec.relationships}
    what = " and ".join(name for name, part in parts.items() if part)
    segment = spec.people.segment if spec.people else None
    into = f", and adds the people to the segment {_code(str(segment.name or segment.id))}" if segment else ""
    sentence = (
        f"{_when(spec)}, imports {what} from {_code(spec.postgres_conn_id)} into the workspace"
        f" **{spec.workspace}**{into}."
    )
    # In a quote, Markdown of the description cannot affect what follows.
    description = "\n".join(f"> {line}" for line in spec.description.strip().splitlines())
    return "\n\n".join(filter(None, (description, sentence, fenced("yaml", effective_yaml(spec)))))


def fenced(language: str, text: str) -> str:
    """Quote a text unchanged. The fence is longer than every sequence of backticks in the text."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"


def _code(text: str) -> str:
    """Quote a word of a spec in a sentence."""
    text = " ".join(text.split())
    ticks = "`" * (_longest_ticks(text) + 1)
    space = " " if "`" in text else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _when(spec: SyncSpec) -> str:
    if not spec.schedule:
        return "When a person triggers it"
    if spec.schedule.assets:
        return f"When {' and '.join(map(_code, spec.schedule.assets))} have been updated"
    if spec.schedule.every:
        return f"Every {duration_text(spec.schedule.every)}"
    return f"At `{spec.schedule.cron}` ({spec.timezone})"
