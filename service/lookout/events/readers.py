"""Connections that read events.db; the last one stays open briefly, because a page sends several queries at once."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Counted from opening, however often the connection is used: SQLite opens the write-ahead log for writing even to read
# it, which blocks remounting the disk read-only or unmounting it. This is the longest such a wait gets.
KEPT_S = 0.5


@dataclass(slots=True)
class _Reader:
    """file: device and inode. until: monotonic seconds. is_watched: whether a timer closes it then."""

    connection: sqlite3.Connection
    file: tuple[int, int] | None
    until: float
    is_watched: bool = False


_ALL: weakref.WeakSet[Readers] = weakref.WeakSet()


def close_idle(path: Path) -> None:
    """Close all idle connections of this process to a file: a writer cannot be opened beside them."""
    for readers in list(_ALL):
        if readers.path == path:
            readers.close()


class Readers:
    """Keeps at most one idle connection open, and only briefly. Thread-safe."""

    def __init__(
        self,
        path: Path,
        opened: Callable[[], sqlite3.Connection],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """opened: opens a connection. clock: monotonic seconds."""
        self.path = path
        self._opened = opened
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: _Reader | None = None
        _ALL.add(self)

    @contextlib.contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one read. Raises sqlite3.Error."""
        reader = self._take() or self._open()
        try:
            yield reader.connection
        except BaseException:
            reader.connection.close()
            raise
        self._put(reader)

    def close(self) -> None:
        """Close the idle connection, if there is one."""
        with self._lock:
            reader, self._idle = self._idle, None
        if reader is not None:
            reader.connection.close()

    def _open(self) -> _Reader:
        file = _identity(self.path)
        return _Reader(self._opened(), file, self._clock() + KEPT_S)

    def _take(self) -> _Reader | None:
        with self._lock:
            reader, self._idle = self._idle, None
        if reader is None:
            return None
        if self._clock() < reader.until and reader.file == _identity(self.path):
            return reader
        reader.connection.close()
        return None

    def _put(self, reader: _Reader) -> None:
        left = reader.until - self._clock()
        with self._lock:
            stays = reader.file is not None and left > 0 and self._idle is None
            if stays:
                self._idle = reader
        if not stays:
            reader.connection.close()
        elif not reader.is_watched:
            reader.is_watched = True
            _start_timer(left, lambda: self._expire(reader))

    def _expire(self, reader: _Reader) -> None:
        """Close the connection if it is idle; one in use is closed when it is returned."""
        with self._lock:
            if self._idle is not reader:
                return
            self._idle = None
        reader.connection.close()


def _start_timer(seconds: float, work: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.name = "events-reader"
    timer.start()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
