"""A thread for calls that may never return. Neither a run nor Python waits for it to end."""

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

    A ``ThreadPoolExecutor`` waits for its threads when it is closed, and again when Python ends. A network
    that does not respond would then keep a task alive. A worker is only waited for through a future.

    Args:
        name: The name of the thread, for debuggers.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call[object] | None] = SimpleQueue()
        self._closed = False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Queue a call and return its future."""
        future: Future[_T] = Future()
        self._calls.put((future, lambda: function(*args, **kwargs)))  # type: ignore[arg-type] # _T differs from call to call
        return future

    def close(self) -> None:
        """End the thread after its current call. Calls that have not begun are cancelled."""
        self._closed = True
        self._calls.put(None)

    def _run(self) -> None:
        while self._make_next_call():
            pass

    def _make_next_call(self) -> bool:
        """Make one call, and return whether the thread goes on.

        This is a method of its own, so no local variable keeps rows in memory while the thread waits.
        """
        call = self._calls.get()
        if call is None:
            return False
        future, function = call
        if self._closed:
            future.cancel()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - the caller gets it from the future
                future.set_exception(error)
        return True
