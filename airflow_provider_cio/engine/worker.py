"""A thread for calls that may never return: nothing waits for it at the end of a run."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Call: TypeAlias = "tuple[Future[_T], Callable[[], _T]]"


class Worker:
    """One daemon thread that makes calls in the order in which they were submitted.

    A ``ThreadPoolExecutor`` waits for its threads when it is left and again when Python ends, so that a
    network that does not answer would keep a task alive. This waits only where a result is asked for.

    Args:
        name: The thread's name, for debuggers.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call[object] | None] = SimpleQueue()
        self._closed = False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Queue a call and return its future."""
        future: Future[_T] = Future()
        self._calls.put((future, lambda: function(*args, **kwargs)))  # type: ignore[arg-type] # one T a call
        return future

    def close(self) -> None:
        """Let the thread end after the call that it is in. Calls that have not begun are cancelled."""
        self._closed = True
        self._calls.put(None)

    def _run(self) -> None:
        while self._make_next_call():
            pass

    def _make_next_call(self) -> bool:
        """Make one call. Its own frame, so that a waiting thread does not keep rows alive."""
        call = self._calls.get()
        if call is None:
            return False
        future, function = call
        if self._closed:
            future.cancel()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - the future hands it to the caller
                future.set_exception(error)
        return True
