from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from airflow_provider_cio.engine.worker import Worker


def test_calls_are_made_in_order_and_give_their_results() -> None:
    """A worker makes calls one after the other, and a future has the result or the exception of its call."""
    worker, made = Worker("test"), list[int]()
    futures = [worker.submit(made.append, number) for number in range(100)]
    assert [future.result(10) for future in futures] == [None] * 100
    assert made == list(range(100))
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(10)
    worker.close()


def test_closing_cancels_calls_that_have_not_begun() -> None:
    """A worker that is closed ends its current call and makes no other."""
    worker, begun, go_on = Worker("test"), threading.Event(), threading.Event()

    def call() -> str:
        begun.set()
        go_on.wait(30)
        return "done"

    first, second = worker.submit(call), worker.submit(call)
    begun.wait(30)
    worker.close()
    go_on.set()
    assert first.result(30) == "done"
    while not second.done():
        threading.Event().wait(0.01)
    assert second.cancelled()


def test_a_call_that_never_returns_does_not_keep_python_alive() -> None:
    """Python ends although a call of a worker does not."""
    script = (
        "import threading; from airflow_provider_cio.engine.worker import Worker;"
        "Worker('test').submit(threading.Event().wait)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
