"""A reader-writer lock: a connection that may write is opened only while no other connection of this process reads.

SQLite gives all connections of a process one mapping of the write-ahead log's index, in the mode of the connection that
was opened first. A reader opens it read-only, so that reading writes nothing; a writer must not inherit that mode.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator

# The same time for which SQLite waits for another process.
_WAIT_S = 2.0


class ReaderWriterLock:
    """Any number of readers at once, also beside an open writer. Only opening a writer excludes them; it goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._is_opening = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock for reading. Raises sqlite3.OperationalError if that takes longer than two seconds."""
        with self._changed:
            self._wait_until(lambda: not self._is_opening)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Hold the lock while the one writer opens. Raises sqlite3.OperationalError after two seconds."""
        with self._changed:
            self._is_opening = True
        try:
            with self._changed:
                self._wait_until(lambda: not self._readers)
            yield
        finally:
            with self._changed:
                self._is_opening = False
                self._changed.notify_all()

    def _wait_until(self, is_free: Callable[[], bool]) -> None:
        if not self._changed.wait_for(is_free, _WAIT_S):
            error = sqlite3.OperationalError("database is busy")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
