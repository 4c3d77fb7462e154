"""A job for the writer, which the caller may abandon until it takes effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lookout.storage.writer import Writer

T = TypeVar("T")


class GivenUp(Exception):
    """The caller has given up: the job must not be committed."""


class Job(Generic[T]):
    """Either given up or committed, never both: a change that was refused must not appear on disk a minute later."""

    def __init__(self, work: Callable[[Writer], T], *, reserved: bool) -> None:
        """reserved: the change was made by a person, for whom part of the budget is reserved."""
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
        """Give up unless the job is committed; return whether that was in time."""
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
        """Return what the work returned, or raise what it raised. Only once `done` is set."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]
