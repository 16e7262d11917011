"""Child processes that leave nothing behind: each in a session of its own, with its output in a log file."""

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

# How a person or the system asks a program to end: Ctrl-C, kill, a closed terminal.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LOG_TAIL_LINES = 25
_POLL_SECONDS = 0.1
_KILL_SECONDS = 5


class LocalError(RuntimeError):
    """Something on this machine did not come up, or stopped, or answered otherwise than it should.

    The message is for a person: it says what happened and where to look.
    """


class LocalProcess:
    """A child process, running since construction.

    It leads a session of its own, so a Ctrl-C at the terminal does not reach it before its owner decides, and
    whatever it starts can be found again, even what it orphans.

    Args:
        name: What a person calls it, used in messages.
        command: The program and its arguments.
        log: File that gets its stdout and stderr, appended.
        environment: The whole environment; None inherits this process's.
        folder: Working directory; None inherits.
        user: System user to run as; needs root.
        stop_signal: What asks it to stop in good order.
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
        """Do nothing if it runs.

        Raises:
            LocalError: It has ended; with the tail of its log.
        """
        status = self._process.poll()
        if status is not None:
            raise LocalError(f"{self.name} has ended with exit status {status}.\n{log_tail(self.log)}")

    def members(self) -> list[psutil.Process]:
        """The live processes of its session: itself and what it started, orphans included."""
        return [process for process in psutil.process_iter() if _is_alive_in_session(process, self.pid)]

    def ask_to_stop(self) -> None:
        """Send the stop signal, to the process alone: it knows best how to stop its children."""
        if self._process.poll() is None:
            self._process.send_signal(self.stop_signal)

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most this long, and say nothing if that was not enough."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(seconds, 0))

    def kill(self) -> None:
        """End it and the rest of its session at once, also what starts meanwhile."""
        deadline = time.monotonic() + _KILL_SECONDS
        while (members := self.members()) and time.monotonic() < deadline:
            for member in members:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            time.sleep(_POLL_SECONDS)
        self.wait(0)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let stop signals take effect only afterwards (in the main thread: others get no signals)."""
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
        for held_back in received:
            signal.raise_signal(held_back)


def stop_all(processes: Iterable[LocalProcess], *, seconds: float = 6) -> None:
    """Stop the processes, all at the same time, and everything they started; no signal interrupts this.

    Args:
        processes: What to stop; it does no harm if some have ended already.
        seconds: How long they may take for it before they are killed.
    """
    processes = list(processes)
    with signals_held_back():
        for process in processes:
            process.ask_to_stop()
        deadline = time.monotonic() + seconds
        for process in processes:
            process.wait(deadline - time.monotonic())
        for process in processes:
            process.kill()


def wait_until(
    condition: Callable[[], T | None], *, what: str, seconds: float, check: Callable[[], None] = lambda: None
) -> T:
    """Ask again and again until there is an answer.

    Args:
        condition: Returns the answer, or None (or False) as long as there is none.
        what: What is waited for: it "did not happen within 60 s".
        seconds: How long to wait at most.
        check: Called between the questions; raises if waiting has become pointless.

    Returns:
        The first answer.

    Raises:
        LocalError: There was none in time.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        check()
        if time.monotonic() > deadline:
            raise LocalError(f"{what} did not happen within {seconds:g} s.")
        time.sleep(_POLL_SECONDS)
    return answer


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def log_tail(log: Path) -> str:
    """The last lines of a log under a line that says which log it is."""
    if not log.exists():
        return f"It left no log: {log} does not exist."
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join([f"The end of {log}:", *(f"    {line}" for line in lines)])


def _is_alive_in_session(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False
