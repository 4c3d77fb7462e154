"""One piece of work for the writer, which whoever asked may give up as long as nothing has come of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lookout.storage.writer import Writer

T = TypeVar("T")


class GivenUp(Exception):
    """Whoever asked has gone: the step that counts is not taken."""


class Job(Generic[T]):
    """Either given up or committed, never both: a refused change must not appear on disk a minute later."""

    def __init__(self, work: Callable[[Writer], T], *, reserved: bool) -> None:
        """reserved: whether it is somebody's own change, for which a part of the budget is left."""
        self.work = work
        self.reserved = reserved
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._committed = False
        self._given_up = False
        self._result: T | None = None
        self._error: Exception | None = None

    def commit(self) -> None:
        """Before the step that counts. Raises GivenUp."""
        with self._lock:
            if self._given_up:
                raise GivenUp
            self._committed = True

    def give_up(self) -> bool:
        """Whether it was in time."""
        with self._lock:
            self._given_up = not self._committed
            return self._given_up

    def succeed(self, result: T) -> None:
        self._result = result
        self.done.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self.done.set()

    def outcome(self) -> T:
        """What the work returned or raised, once `done`."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]
