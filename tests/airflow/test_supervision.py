"""A task ends when its supervisor, another process, has ended."""

from __future__ import annotations

import socket
import threading

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder

from airflow_provider_cio.operators.supervision import call_when_supervisor_ends

#: The seconds after which a test counts as hanging.
SECONDS = 60


def test_the_end_of_a_supervisor_calls_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages from the supervisor do not call the function, and the task can still read them."""
    of_task, of_supervisor = socket.socketpair()
    with of_task, of_supervisor:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", CommsDecoder(socket=of_task), raising=False)
        ended = threading.Event()
        call_when_supervisor_ends(ended.set)
        of_supervisor.sendall(b"answer")
        assert of_task.recv(len(b"answer")) == b"answer"
        of_supervisor.sendall(b"another")
        assert not ended.is_set()
        of_supervisor.close()
        assert ended.wait(SECONDS)
        assert of_task.recv(len(b"another")) == b"another"


@pytest.mark.parametrize("comms", [None, object()])
def test_a_task_without_a_supervisor_starts_no_thread(monkeypatch: pytest.MonkeyPatch, comms: object) -> None:
    """No thread waits in `dag.test()` or in plain Python."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    threads = threading.active_count()
    call_when_supervisor_ends(lambda: pytest.fail("it was called"))
    assert threading.active_count() == threads
