"""Whose turn it is: a connection that may write is opened while no other of this process reads.

SQLite gives all connections of a process one view of the log's index, as the first of them opened it; a reader opens it
for reading only, so that to read is not to write.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator

# As long as SQLite waits for another process.
_WAIT_S = 2.0


class ReaderWriterLock:
    """Reads pass each other, and a writer once it is open; they wait for one that is about to open, and it for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._is_opening = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Raises sqlite3.OperationalError after two seconds."""
        with self._changed:
            self._await(lambda: not self._is_opening)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """For the one writer. Raises sqlite3.OperationalError after two seconds."""
        with self._changed:
            self._is_opening = True
        try:
            with self._changed:
                self._await(lambda: not self._readers)
            yield
        finally:
            with self._changed:
                self._is_opening = False
                self._changed.notify_all()

    def _await(self, is_free: Callable[[], bool]) -> None:
        if not self._changed.wait_for(is_free, _WAIT_S):
            error = sqlite3.OperationalError("database is busy")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
