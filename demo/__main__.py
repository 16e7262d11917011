"""`make demo`: start Postgres, two workspaces and Airflow on this machine, and run three syncs."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from demo.deployment import set_up, show_addresses
from demo.output import show_error, show_line, show_title
from demo.runs import import_companies, import_people, import_signups
from local.processes import STOP_SIGNALS, LocalError

if TYPE_CHECKING:
    from types import FrameType

    from demo.deployment import Deployment

_PROJECT = Path(__file__).parent.parent


class Stopped(BaseException):
    """Raised when a signal ends the demo. Its argument is the number of the signal."""


def main() -> int:
    """Run the demo.

    Returns:
        The exit status: 0 if every run had the expected result, 1 if not, 128 + N after signal N.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    folder = _new_folder()
    try:
        _demo(folder)
    except LocalError as error:
        show_error(f"{error}\n\nThe logs of this demo are in {folder}. `make clean` removes them.")
        return 1
    except Stopped as stopped:
        status = 128 + int(stopped.args[0])
    else:
        status = 0
    shutil.rmtree(folder, ignore_errors=True)
    return status


def _demo(folder: Path) -> None:
    show_title("From Postgres to Customer.io: a demo on this machine")
    show_line("Customer.io is emulated here: nothing leaves this machine.")
    with ExitStack() as running:
        try:
            deployment = set_up(folder, running)
            show_addresses(deployment)
            import_people(deployment)
            import_companies(deployment)
            import_signups(deployment)
            _show_next_steps()
            if sys.stdin.isatty():
                _stay_up(deployment)
        finally:
            _ignore_stop_signals()  # an interrupted stop would leave processes behind
            show_title("Stopping Airflow, the workspaces and Postgres")


def _stay_up(deployment: Deployment) -> None:
    """Show the addresses again, and wait for Ctrl-C.

    Raises:
        LocalError: A component of Airflow has ended. The message has the end of its log.
    """
    show_title("Everything keeps running until you press Ctrl-C")
    show_addresses(deployment)
    show_line("Try it: change rows in Postgres (set updated_at = now()), then trigger a DAG in Airflow.")
    show_line("Schedules are off in this demo, so nothing runs unless you trigger it.")
    try:
        while True:
            deployment.airflow.check()
            time.sleep(1)
    except Stopped:
        return


def _show_next_steps() -> None:
    show_title("Done: five runs, each with the expected result")
    show_line("The specs of these syncs are in dags/syncs.")
    show_line("To sync your own database, continue with “A first sync in five minutes” in README.md.")


def _new_folder() -> Path:
    parent = _PROJECT / ".demo"
    parent.mkdir(exist_ok=True)
    return Path(
        tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), suffix=f"-{os.getpid()}", dir=parent)
    )


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    _ignore_stop_signals()
    raise Stopped(number)


def _ignore_stop_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
