"""The end of a run whose supervisor was killed.

Airflow gives up a task without heartbeats and frees its pool. The heartbeats come from the task's supervisor,
which is another process. When that process alone is killed, for example because memory runs out, the task
would go on beside the next run of the workspace, and could overwrite newer rows with older ones.
"""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def call_when_supervisor_ends(function: Callable[[], object]) -> None:
    """Call a function, in a thread of its own, as soon as the supervisor of this task has ended.

    A task without a supervisor, as in ``dag.test()``, is left alone.
    """
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415 - parsing a DAG needs none of it

    connection = getattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "socket", None)
    if not isinstance(connection, socket.socket):
        return
    ended = select.poll()
    ended.register(connection, 0)  # a hang-up is reported always; messages are for the task

    def wait() -> None:
        ended.poll()
        function()

    threading.Thread(target=wait, name="customerio-supervisor", daemon=True).start()
