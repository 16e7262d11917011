"""``python -m torture [scenario ...] [--seed N] [--short]``: run scenarios and print a line for each."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from torture.scenario import BrokenPromiseError, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

#: In the order in which they are run.
SCENARIOS = (
    "api_faults",
    "backends",
    "black_hole",
    "silent_tasks",
    "watermark",
    "kills",
    "many_syncs",
    "storm",
    "mutants",
)
#: Folder for the logs of failed scenarios.
_LOGS = Path(__file__).parent.parent / ".torture"


def main() -> int:
    """Run the scenarios.

    Returns:
        The exit status: 0 if every promise held.
    """
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="scenario", help=f"one of {', '.join(SCENARIOS)}; all by default"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of all random choices (%(default)s)")
    parser.add_argument("--short", action="store_true", help="run the short forms, which take seconds")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - {*SCENARIOS}:
        parser.error(f"unknown scenario: {', '.join(sorted(unknown))}. Choose from {', '.join(SCENARIOS)}")
    logging.disable(logging.WARNING)  # a run logs every fault
    results = [
        _run(name, seed=arguments.seed, short=arguments.short) for name in arguments.scenarios or SCENARIOS
    ]
    return 0 if all(results) else 1


@contextmanager
def _stderr_in(file: Path) -> Iterator[None]:
    """Redirect stderr to a file, with the tracebacks that damaged processes write."""
    sys.stderr.flush()
    original = os.dup(2)
    with file.open("wb") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(original, 2)
        os.close(original)


def _run(name: str, *, seed: int, short: bool) -> bool:
    """Run a scenario and print its line. Returns whether every promise held."""
    _LOGS.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-", dir=_LOGS))
    started = time.monotonic()
    try:
        with _stderr_in(folder / "stderr.log"):
            figures = importlib.import_module(f"torture.{name}").run(Trial(seed, short, folder))
    except Exception as error:  # noqa: BLE001 - the other scenarios still run
        if not isinstance(error, BrokenPromiseError):
            traceback.print_exc()
        print(
            f"{name}, seed {seed}: FAILED after {time.monotonic() - started:.0f} s: {error} (logs: {folder})"
        )
        return False
    print(f"{name}, seed {seed}: held in {time.monotonic() - started:.0f} s. {figures}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
