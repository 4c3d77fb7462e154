"""Commands to the worker: a bounded queue, with a future for each result."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from lookout.errors import TooBusy

T = TypeVar("T")

# People press buttons; more commands than this at once do not come from a person.
CAPACITY = 32


class Mailbox:
    """Any thread may post commands; the worker runs them. `arrived` is set while commands are waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], None], Future[Any]]] = deque()
        self._closed = False
        self.arrived = threading.Event()

    def post(self, command: Callable[[], T]) -> Future[T]:
        """Queue a command for the worker; the future will hold its result or exception.

        Raises TooBusy if the queue is full or the mailbox is closed.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise _stopping()
            if len(self._waiting) >= CAPACITY:
                raise TooBusy("Too many commands wait for the camera loop.", "Try again in a moment.")
            self._waiting.append((lambda: _run(command, future), future))
        self.arrived.set()
        return future

    def run_all(self) -> None:
        """Run the waiting commands. Called by the worker."""
        if not self.arrived.is_set():
            return
        self.arrived.clear()
        while (next_up := self._take()) is not None:
            next_up[0]()

    def close(self) -> None:
        """Refuse all waiting and further commands, so that no caller waits forever. Safe to call twice."""
        with self._lock:
            self._closed = True
        self.arrived.set()
        while (left := self._take()) is not None:
            if left[1].set_running_or_notify_cancel():
                left[1].set_exception(_stopping())

    def _take(self) -> tuple[Callable[[], None], Future[Any]] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None


def _run(command: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(command())
    except Exception as error:  # the caller gets the command's error, the worker goes on
        future.set_exception(error)


def _stopping() -> TooBusy:
    return TooBusy("The service is stopping.", "Try again when it runs.")
