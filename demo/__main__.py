"""`make demo`: a database, two workspaces and an Airflow on this machine, and runs of three syncs."""

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

from demo.deployment import set_up, show_where_to_look
from demo.output import failure, say, title
from demo.runs import import_companies, import_people, import_signups
from local.processes import STOP_SIGNALS, LocalError

if TYPE_CHECKING:
    from types import FrameType

    from demo.deployment import Deployment

_PROJECT = Path(__file__).parent.parent


class Stopped(BaseException):
    """Somebody wants the demo to end."""


def main() -> int:
    """Run the demo.

    Returns:
        The exit status: 0 if every run did what it should.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    folder = _new_folder()
    try:
        _demo(folder)
    except LocalError as error:
        failure(f"{error}\n\nThe logs of this demo are kept in {folder} (make clean removes them).")
        return 1
    except Stopped as stopped:
        status = 128 + int(stopped.args[0])
    else:
        status = 0
    shutil.rmtree(folder, ignore_errors=True)
    return status


def _demo(folder: Path) -> None:
    title("From Postgres to Customer.io, all of it on this machine")
    with ExitStack() as running:
        try:
            deployment = set_up(folder, running)
            show_where_to_look(deployment)
            import_people(deployment)
            import_companies(deployment)
            import_signups(deployment)
            if sys.stdin.isatty():
                _stay_up(deployment)
        finally:
            _ignore_stop_signals()  # stopping takes seconds; cut short, it would leave processes behind
            title("Stopping everything")


def _stay_up(deployment: Deployment) -> None:
    """Show where to look, and wait for Ctrl-C.

    Raises:
        LocalError: A component of Airflow has ended; with the end of its log.
    """
    title("Everything stays up until you press Ctrl-C")
    show_where_to_look(deployment)
    say("Change rows (with updated_at = now()) and trigger a DAG: the schedules are off in this demo.")
    try:
        while True:
            deployment.airflow.check()
            time.sleep(1)
    except Stopped:
        return


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
