"""Commands to the worker: one bounded queue, an answer to each."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from service.errors import TooBusy

T = TypeVar("T")

# People press buttons; more than this at once is no person.
CAPACITY = 32


class Mailbox:
    """Any thread posts, the worker runs. `arrived` is set while something waits."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Callable[[], None]] = queue.Queue(CAPACITY)
        self.arrived = threading.Event()

    def post(self, command: Callable[[], T]) -> Future[T]:
        """Have the worker run the command; the future holds what it returns or raises. Raises TooBusy when full."""
        future: Future[T] = Future()
        try:
            self._queue.put_nowait(lambda: _run(command, future))
        except queue.Full as error:
            raise TooBusy("Too many commands wait for the camera loop.", "Try again in a moment.") from error
        self.arrived.set()
        return future

    def run_all(self) -> None:
        """On the worker: run what has arrived."""
        self.arrived.clear()
        while True:
            try:
                command = self._queue.get_nowait()
            except queue.Empty:
                return
            command()


def _run(command: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(command())
    except Exception as error:  # whoever posted the command gets its error, the worker goes on
        future.set_exception(error)
