"""The file events.db: written only by the writer thread of `storage`, read by any thread, set aside if it is malformed.

It is open for writing only during a write, because a file that is open for writing keeps the disk from being remounted
read-only. Connections for reading stay open for a short time (see `readers`).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from lookout.errors import DiskGone, LookoutError
from lookout.events import tables
from lookout.events.errors import EventsUnavailable
from lookout.events.reader_writer_lock import ReaderWriterLock
from lookout.events.readers import Readers, close_idle
from lookout.events.salvage import set_aside
from lookout.storage import Storage, Writer
from lookout.storage.atomic_files import make_folder

log = logging.getLogger(__name__)

T = TypeVar("T")

FILE = "events.db"
# The most that changing a few rows writes. A job asks the budget for this much and is charged what it really wrote.
_CHANGE_BYTES = 48 * 1024
# The write-ahead log is checkpointed when it has grown to this size.
_CHECKPOINT_BYTES = 2**20
# Empty tables, and the runs of some years.
_EMPTY_BYTES = 512 * 1024
# How long another process may delay emptying the database.
_BUSY_S = 4.0
_MALFORMED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EIO,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_PERM: errno.EACCES,
}


class Database:
    """events.db in a folder. Call `write` from any thread but the event loop's, `read` from any thread that may block.

    set_aside: how many malformed files were set aside since the start.
    """

    def __init__(self, folder: Path, storage: Storage) -> None:
        self.folder = folder
        self.path = folder / FILE
        self._storage = storage
        self._access = ReaderWriterLock()
        self._readers = Readers(self.path, self._open_reader)
        self._has_written = False
        self.set_aside = 0

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        reserved: bool = True,
        committed: Callable[[T], None] | None = None,
    ) -> T:
        """Run `work` in one transaction and return its result once it is durable.

        reserved: the change was made by a person, for whom part of the budget is reserved. committed: called with the
        result once it is durable, on the writer's thread, even if the caller has given up in the meantime.
        Raises StateFolderUnusable, DiskBudgetSpent, and whatever `work` raises.
        """

        def job(writer: Writer) -> T:
            result = self.write_with(writer, work)
            if committed is not None:
                committed(result)
            return result

        return self._storage.run(job, reserved=reserved)

    def write_with(self, writer: Writer, work: Callable[[sqlite3.Connection], T]) -> T:
        """Like `write`, but inside a writer job that is already running. Raises OSError, DiskBudgetSpent."""
        writer.admit(_CHANGE_BYTES, _CHANGE_BYTES)
        try:
            return self._change(writer, work)
        except sqlite3.DatabaseError as error:
            if not _is_malformed(error):
                raise _os_error(error, self.path) from error
        self._set_aside()
        try:
            return self._change(writer, work)
        except sqlite3.DatabaseError as error:
            raise _os_error(error, self.path) from error

    def _change(self, writer: Writer, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connection() as connection:
            before = self._sizes()
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                writer.commit()
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
            after = self._sizes()
            writer.charge(max(0, after[1] - before[1]), sum(after) - sum(before))
            if after[1] > _CHECKPOINT_BYTES:
                self._checkpoint(connection, writer)
        return result

    def checkpoint(self) -> None:
        """Checkpoint the write-ahead log, so that the file itself holds everything. Raises StateFolderUnusable."""

        def work(writer: Writer) -> None:
            if self.is_there():
                with self._connection() as connection:
                    self._checkpoint(connection, writer)

        self._storage.run(work)

    def empty(self, kept_tables: Sequence[str]) -> None:
        """Replace all tables but those named by empty ones, in the same short time however large they are.

        Deleting each row, or VACUUM, would write a large file twice, and a day's budget may not be enough for that.
        Ids that were given are not given again. Raises StateFolderUnusable, DiskBudgetSpent.
        """

        def work(writer: Writer) -> None:
            with (
                self._connection() as connection,
                contextlib.closing(tables.connect_nothing(tables.page_bytes(connection))) as fresh,
            ):
                writer.admit(_EMPTY_BYTES, 0)
                before = sum(self._sizes())
                try:
                    for table in (*kept_tables, "sqlite_sequence"):
                        tables.copy(connection, fresh, table)
                    writer.commit()
                    fresh.backup(connection, progress=_within(_BUSY_S))
                except sqlite3.DatabaseError as error:
                    raise _os_error(error, self.path) from error
                self._checkpoint(connection, writer)
                writer.charge(_EMPTY_BYTES, sum(self._sizes()) - before)

        self._storage.run(work)

    def _checkpoint(self, connection: sqlite3.Connection, writer: Writer) -> None:
        before, written = self._sizes(), _to_write_back(_beside(self.path)[0])
        with contextlib.suppress(sqlite3.OperationalError):  # a reader is active: the next checkpoint does it
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        after = self._sizes()
        writer.charge(written if after[1] < before[1] else 0, sum(after) - sum(before))

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """The writer's connection, for one job. Raises OSError, sqlite3.Error."""
        make_folder(self.folder)
        try:
            with self._access.opening():
                close_idle(self.path)
                connection = tables.connect_writer(str(self.path))
        except tables.NewerTables as error:
            raise OSError(errno.EINVAL, "it was made by a newer Lookout", str(self.path)) from error
        try:
            for name in (self.path, *_beside(self.path)):
                with contextlib.suppress(OSError):
                    name.chmod(0o600)
            self._has_written = True
            yield connection
        finally:
            self._close(connection)

    def _close(self, connection: sqlite3.Connection) -> None:
        """Close the connection without a checkpoint.

        The last connection to close writes the log back into the file, which would double the bytes written by each
        change, unless it is read-only. Therefore a read-only connection is closed last.
        """
        with contextlib.ExitStack() as last, contextlib.suppress(sqlite3.Error):
            with contextlib.suppress(sqlite3.Error):
                last.enter_context(contextlib.closing(tables.connect_reader(str(self.path))))
            connection.close()

    @staticmethod
    def _roll_back(connection: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _sizes(self) -> tuple[int, int]:
        """Bytes of the file and of its write-ahead log."""
        return _size(self.path), _size(_beside(self.path)[0])

    def _set_aside(self) -> None:
        kept = set_aside(self.path)
        self.set_aside += 1
        log.error("%s was malformed and is set aside; %d events could be read and are kept.", self.path, kept)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a connection for reading; return the result. May block. Raises EventsUnavailable."""
        try:
            return self._read_once(work)
        except sqlite3.DatabaseError as error:
            if not _is_malformed(error):
                raise self._unavailable(error) from error
        self.mend()
        try:
            return self._read_once(work)
        except sqlite3.DatabaseError as error:
            raise self._unavailable(error) from error

    def _read_once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._access.reading(), self._readers.one() as connection:
            return work(connection)

    def mend(self) -> None:
        """Let the writer set a malformed file aside. Raises EventsUnavailable."""

        def work(writer: Writer) -> None:
            del writer
            self._set_aside()

        try:
            self._storage.run(work)
        except LookoutError as error:
            raise EventsUnavailable(f"{self.path} is malformed and cannot be set aside: {error.detail}") from error

    def _open_reader(self) -> sqlite3.Connection:
        if not self.is_there():
            if isinstance(trouble := self._storage.trouble(), DiskGone):
                raise EventsUnavailable(trouble.detail, trouble.remedy)  # it holds the events: "none" would be untrue
            return tables.connect_nothing()
        path = str(self.path)
        with contextlib.suppress(sqlite3.OperationalError):
            return tables.connect_reader(path, "light")
        with contextlib.suppress(sqlite3.OperationalError):
            return tables.connect_reader(path)
        try:  # on a full disk the file of the index was created at least, which is enough for this
            return tables.connect_reader(path, "light")
        except sqlite3.OperationalError:
            if os.access(self.folder, os.W_OK):
                raise
            return tables.connect_reader(path, "frozen")

    def is_there(self) -> bool:
        """Whether an event was ever stored. True also if the disk cannot be read, since the file may well be there."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Leave one file without a log beside it, if anything was written. Call it only after the last write."""
        self._readers.close()
        if self._has_written and _size(_beside(self.path)[0]):
            with contextlib.suppress(sqlite3.Error, tables.NewerTables):
                tables.connect_writer(str(self.path)).close()

    def _unavailable(self, error: sqlite3.Error) -> EventsUnavailable:
        return EventsUnavailable(
            f"The events cannot be read from {self.path}: {error}.",
            "Check the disk: system.disk in the state says what is wrong. `lookout events check` repairs the file.",
        )


def _within(seconds: float) -> Callable[[int, int, int], None]:
    """A progress callback that ends a backup at a deadline; on its own, a backup retries for ever."""
    ends = time.monotonic() + seconds

    def check(status: int, remaining: int, total: int) -> None:
        del remaining, total
        if status != sqlite3.SQLITE_DONE and time.monotonic() > ends:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error

    return check


def _is_malformed(error: sqlite3.Error) -> bool:
    return _code(error) in _MALFORMED


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _os_error(error: sqlite3.Error, path: Path) -> OSError:
    """An SQLite error as the OSError that a disk in the same trouble would raise."""
    return OSError(_ERRNO.get(_code(error), errno.EIO), str(error), str(path))


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _to_write_back(log: Path) -> int:
    """Return how many bytes a checkpoint writes: each page of the log of changes once, however often it contains it.

    The log is a header of 32 bytes with the page size at its eighth, and frames: 24 bytes that begin with the page's
    number, and the page.
    """
    pages = set()
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        page_bytes = int.from_bytes(file.read(12)[8:], "big")
        at = 32
        while file.seek(at) and (number := file.read(4)):
            pages.add(number)
            at += 24 + page_bytes
        return len(pages) * page_bytes
    return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
