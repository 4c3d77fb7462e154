"""One piece of work for the writer, which the caller may give up as long as it has had no effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lookout.storage.writer import Writer

T = TypeVar("T")


class GivenUp(Exception):
    """The caller has gone: the work is not committed."""


class Job(Generic[T]):
    """Either given up or committed, never both: a refused change must not appear on disk a minute later."""

    def __init__(self, work: Callable[[Writer], T], *, reserved: bool) -> None:
        """reserved: whether it is a person's own change, for which part of the budget is reserved."""
        self.work = work
        self.reserved = reserved
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._committed = False
        self._given_up = False
        self._result: T | None = None
        self._error: Exception | None = None

    def commit(self) -> None:
        """Call right before the step that takes effect. Raises GivenUp."""
        with self._lock:
            if self._given_up:
                raise GivenUp
            self._committed = True

    def give_up(self) -> bool:
        """Whether giving up was in time."""
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
