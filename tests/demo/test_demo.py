from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent.parent
DEMO_SECONDS = 180
RUN = re.compile(
    r"(Completed|Some rows failed): ([\d,]+) rows read, ([\d,]+) imported, ([\d,]+) failed;"
    r" [\d.]+ s, \d+ requests?, [\d,]+ rows/s"
)
REPORT = """
  query,row,identifier,field,reason,message,…
  people,127,card-127,attributes.email,invalid,email is not a valid address (RFC 5322),…
  people,211,,identifiers.id,required,the row has no id,…
  people,305,card-305,attributes.remarks,invalid,property value cannot be longer than 1000 bytes,…
  people,402,card-402,attributes.email,failed_attribute_change,email belongs to another person,…
"""


class Demo:
    """A running demo without a terminal, and its processes.

    Args:
        log: File for its output.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = psutil.Popen(
                [sys.executable, "-m", "demo"],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.descendants: set[psutil.Process] = set()

    def wait_for(self, text: str) -> None:
        """Wait until the demo has printed this text."""
        deadline = time.monotonic() + DEMO_SECONDS
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            self._watch()

    def wait(self) -> int:
        """Wait until the demo has ended, and return its exit status."""
        deadline = time.monotonic() + DEMO_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.log.read_text()
            self._watch()
        return int(self.process.returncode)

    def live_processes(self) -> list[psutil.Process]:
        """Return the processes that are still alive."""
        return [process for process in self.descendants if _is_alive(process)]

    def folders(self) -> list[Path]:
        """Return the folders that the demo has not removed."""
        return list((PROJECT / ".demo").glob(f"*-{self.process.pid}"))

    def _watch(self) -> None:
        self.descendants.update(self.process.children(recursive=True))
        time.sleep(0.1)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "demo.log")
    yield demo
    if demo.process.poll() is None:
        demo.process.terminate()
        demo.wait()


def test_all_runs_from_start_to_end(demo: Demo) -> None:
    """Without a terminal the demo shows all runs and failed rows, and leaves no process and no folder."""
    assert demo.wait() == 0, demo.log.read_text()
    text = demo.log.read_text()
    assert RUN.findall(text) == [
        ("Completed", "5,000", "5,000", "0"),
        ("Completed", "50", "50", "0"),
        ("Completed", "6,400", "6,400", "0"),
        ("Some rows failed", "500", "496", "4"),
        ("Completed", "500", "500", "0"),
    ]
    assert text.count("the segment Active people has 5,000 people") == 2
    assert "400 objects, 6,000 relationships" in text
    assert "528 of the memberships have ended, so the workspace has 5,472 relationships" in text
    assert REPORT in text
    assert len(demo.descendants) > 5
    assert demo.live_processes() == []
    assert demo.folders() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_demo(demo: Demo, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the demo, which leaves nothing. The exit status is 128 + the signal."""
    demo.wait_for("… Start Airflow")
    time.sleep(2)  # in the middle of Airflow's start
    demo.process.send_signal(number)
    assert demo.wait() == 128 + number, demo.log.read_text()
    assert len(demo.descendants) > 5
    assert demo.live_processes() == []
    assert demo.folders() == []
