"""Child processes that leave nothing behind. Each has its own session and writes to a log file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

# The signals that ask a program to end: Ctrl-C, kill, a closed terminal.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LOG_TAIL_LINES = 25
_POLL_SECONDS = 0.1
_KILL_SECONDS = 5


class LocalError(RuntimeError):
    """A local server did not start, stopped, or returned an error.

    The message is shown to a person. It names what happened and where to look.
    """


class LocalProcess:
    """A child process that starts when it is constructed.

    It leads its own session. So Ctrl-C at the terminal does not reach it before its owner decides to stop it,
    and all of its descendants can be found, including orphans.

    Args:
        name: Name of the process in messages.
        command: The program and its arguments.
        log: File to which its stdout and stderr are appended.
        environment: The whole environment; None inherits this process's environment.
        folder: Working directory; None inherits this process's folder.
        user: System user to run as; needs root.
        stop_signal: The signal that starts an orderly shutdown.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self.stop_signal = stop_signal
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                user=user,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def check(self) -> None:
        """Check that the process runs.

        Raises:
            LocalError: The process has ended. The message has the end of its log.
        """
        status = self._process.poll()
        if status is not None:
            raise LocalError(f"{self.name} ended with exit status {status}.\n{log_tail(self.log)}")

    def members(self) -> list[psutil.Process]:
        """Return the live processes of its session: itself and its descendants, orphans included."""
        return [process for process in psutil.process_iter() if _is_alive_in_session(process, self.pid)]

    def request_stop(self) -> None:
        """Send the stop signal to the process alone, which then stops its children."""
        if self._process.poll() is None:
            self._process.send_signal(self.stop_signal)

    def wait(self, seconds: float) -> None:
        """Wait until the process ends, or until the given number of seconds has passed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(seconds, 0))

    def kill(self) -> None:
        """Kill every process of its session, including those that start in the meantime."""
        deadline = time.monotonic() + _KILL_SECONDS
        while (members := self.members()) and time.monotonic() < deadline:
            for member in members:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            time.sleep(_POLL_SECONDS)
        self.wait(0)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer stop signals until the end of the block. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: received.append(number)) for number in STOP_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for deferred in received:
            signal.raise_signal(deferred)


def stop_all(processes: Iterable[LocalProcess], *, seconds: float = 6) -> None:
    """Stop processes and their descendants, all at the same time. Signals do not interrupt it.

    Args:
        processes: The processes to stop. Some may have ended already.
        seconds: Seconds they may take before they are killed.
    """
    processes = list(processes)
    with deferred_signals():
        for process in processes:
            process.request_stop()
        deadline = time.monotonic() + seconds
        for process in processes:
            process.wait(deadline - time.monotonic())
        for process in processes:
            process.kill()


def wait_until(
    condition: Callable[[], T | None], *, what: str, seconds: float, check: Callable[[], None] = lambda: None
) -> T:
    """Call a condition until it returns a true value.

    Args:
        condition: Returns a true value when the wait is over.
        what: The awaited event, as the subject of "… did not happen within 60 s".
        seconds: The longest wait, in seconds.
        check: Called after each attempt; raises when further waiting is pointless.

    Returns:
        The first true value.

    Raises:
        LocalError: The time is over.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        check()
        if time.monotonic() > deadline:
            raise LocalError(f"{what} did not happen within {seconds:g} s.")
        time.sleep(_POLL_SECONDS)
    return result


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def log_tail(log: Path) -> str:
    """Return the last lines of a log, below a line with its path."""
    if not log.exists():
        return f"There is no log: {log} does not exist."
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join([f"The end of {log}:", *(f"    {line}" for line in lines)])


def _is_alive_in_session(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False
