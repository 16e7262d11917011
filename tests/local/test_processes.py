from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from local.processes import LocalError, LocalProcess, free_port, stop_all, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A child that ignores SIGTERM, with a grandchild in another process group.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
print("ready", child.pid, flush=True)
time.sleep(600)
"""
# A child that ends at once and leaves an orphan.
CARELESS = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
"""


def is_alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state) and not state.startswith("Z")


def start(tmp_path: Path, script: str) -> LocalProcess:
    return LocalProcess("the child", [sys.executable, "-c", script], log=tmp_path / "child.log")


def read_log(tmp_path: Path) -> str:
    return wait_until((tmp_path / "child.log").read_text, what="A line in the log", seconds=60)


def test_stubborn_processes_and_their_children_are_killed(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed, with its child in another process group."""
    process = start(tmp_path, STUBBORN)
    grandchild = int(read_log(tmp_path).split()[1])
    stop_all([process], seconds=0.3)
    assert not is_alive(process.pid)
    assert not is_alive(grandchild)


def test_orphans_are_stopped(tmp_path: Path) -> None:
    """The children of a process are stopped even if the process itself ended before."""
    process = start(tmp_path, CARELESS)
    orphan = int(read_log(tmp_path))
    process.wait(10)
    assert is_alive(orphan)
    stop_all([process])
    assert not is_alive(orphan)


def test_a_process_that_ended_raises_its_log(tmp_path: Path) -> None:
    """The message names the process, its exit status and its log, and quotes the log's end."""
    process = start(tmp_path, "import sys; sys.exit('no disk left')")
    process.wait(10)
    with pytest.raises(LocalError, match="the child ended with exit status 1") as raised:
        process.check()
    assert str(tmp_path / "child.log") in str(raised.value)
    assert "no disk left" in str(raised.value)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Restore Python's handler of SIGINT: a test run that is started in the background ignores the signal."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("_interruptible")
def test_stopping_is_not_interrupted(tmp_path: Path) -> None:
    """Ctrl-C during `stop_all` takes effect when all processes are stopped."""
    process = start(tmp_path, STUBBORN)
    read_log(tmp_path)
    ctrl_c = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        stop_all([process], seconds=1)
    assert not is_alive(process.pid)


def test_waiting_ends_with_a_message() -> None:
    """The message names the awaited event and the seconds."""
    with pytest.raises(LocalError, match=r"The end of the world did not happen within 0\.2 s"):
        wait_until(lambda: None, what="The end of the world", seconds=0.2)


def test_free_ports_differ() -> None:
    """Successive calls return different ports."""
    assert len({free_port() for _ in range(5)}) == 5
