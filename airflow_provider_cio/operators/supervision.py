"""End a run whose supervisor was killed.

Airflow fails a task whose heartbeats stop, and frees its slot in the pool. The heartbeats come from the
supervisor of the task, which is another process. If only the supervisor is killed, for example when memory
runs out, the task would continue beside the next run of the workspace and could overwrite newer rows with
older ones.
"""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def call_when_supervisor_ends(function: Callable[[], object]) -> None:
    """Call a function in another thread when the supervisor of this task ends.

    A task without a supervisor, such as in ``dag.test()``, starts no thread.

    Args:
        function: The function to call. Its result is not used.
    """
    connection = supervisor_connection()
    if connection is None:
        return
    ended = select.poll()
    ended.register(connection, 0)  # poll always reports a hang-up; messages are left to the task

    def wait() -> None:
        ended.poll()
        function()

    threading.Thread(target=wait, name="customerio-supervisor", daemon=True).start()


def supervisor_connection() -> socket.socket | None:
    """Return the task's connection to its supervisor; None without one, as in ``dag.test()``."""
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415 - not needed to parse a DAG

    connection = getattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "socket", None)
    return connection if isinstance(connection, socket.socket) else None
