"""Writes records to disk on its own thread, which may wait for the disk: rows before pictures."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookout.errors import DiskVolatile, LookoutError
from lookout.events import shots
from lookout.events.errors import EventsLimited
from lookout.events.event import ModelUsed
from lookout.events.feed import Feed, News
from lookout.events.record import Record, region_of
from lookout.events.rows import insert, update
from lookout.events.store import Store
from lookout.frame import Pixels
from lookout.storage import Writer

log = logging.getLogger(__name__)

# Rows that may wait for the disk: half an hour of a busy day, three megabytes.
MAX_RECORDS = 500
# Pictures that may wait to be encoded: a megabyte each, as the camera delivered them.
MAX_SHOTS = 8
_BATCH = 20
# With less free space than this, only rows are written.
_FREE_BYTES = 8 * 2**20
# The first few events of a label are put up for review, because the label is new here.
_RARE = 3
_FIRST_RETRY_S, _MAX_RETRY_S = 1.0, 30.0
_IDLE_S = 1.0

# Takes the part of a frame that the network saw; returns the model and its embedding, or None if there is none.
Embed = Callable[[Pixels], tuple[ModelUsed, bytes] | None]


class Journal:
    """`put` never waits. Everything else happens on the journal's own thread, or in `flush` before `start`."""

    def __init__(self, store: Store, feed: Feed, embed: Embed | None = None) -> None:
        self._store = store
        self._feed = feed
        self._embed = embed
        self._changed = threading.Condition()
        self._waiting: dict[Record, None] = {}  # in order of arrival
        self._run_row: dict[str, Any] | None = None
        self._shift: tuple[str, float] | None = None
        self._prepared = False
        self._stopping = False
        self._retry_s = 0.0
        self._thread: threading.Thread | None = None
        self._idle: Callable[[], None] | None = None
        self.lost = 0
        self.without_picture = 0
        self._trouble: LookoutError | None = None
        self._picture_trouble: LookoutError | None = None

    # --- any thread ---------------------------------------------------------------------------------------------------

    def put(self, record: Record, **changes: Any) -> None:
        """Queue the record, with these columns changed. When too many wait, the oldest is dropped."""
        with self._changed:
            record.row.update(changes)
            self._waiting.setdefault(record)
            self._bound()
            self._changed.notify()

    def _bound(self) -> None:
        with_shot = [record for record in self._waiting if record.shot is not None and not record.is_open]
        for record in with_shot[:-MAX_SHOTS]:
            record.shot = None
            self.without_picture += 1
        while len(self._waiting) > MAX_RECORDS:
            self._waiting.pop(next(iter(self._waiting)))
            self.lost += 1

    def stamp_run(self, row: dict[str, Any]) -> None:
        """Note how long the service has run, as a row of `runs`; written with the next batch, or soon on its own."""
        with self._changed:
            self._run_row = row
            self._changed.notify()

    def shift(self, boot: str, offset: float, running: list[Record]) -> None:
        """The wall clock has been set: correct the times of this boot's records, once. running: records in progress."""
        with self._changed:
            self._shift = (boot, offset)
            for record in (*self._waiting, *running):
                if record.row["boot"] == boot and not record.row["clock_ok"]:
                    lasted = record.row["ended"] - record.row["started"]
                    started = record.row["mono_start"] + offset
                    record.row.update(started=started, ended=started + lasted, clock_ok=1)
            self._changed.notify()

    def trouble(self) -> LookoutError | None:
        """Why less is kept than should be; None if everything is kept."""
        return self._trouble or self._picture_trouble

    @property
    def unwritten(self) -> int:
        """The number of records not yet written."""
        with self._changed:
            return len(self._waiting)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def start(self, idle: Callable[[], None] | None = None) -> None:
        """idle: called about once a second while no record waits; may wait for the disk."""
        self._idle = idle
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Write the waiting records, for at most this many seconds. Returns whether all are written."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return not self._waiting and (self._thread is None or not self._thread.is_alive())

    def _run(self) -> None:
        while self._wait():
            idle = not self._has_work()
            try:
                if self.flush() and idle and self._idle is not None and not self._stopping:
                    self._idle()
            except (LookoutError, OSError) as error:  # the idle work can wait
                log.info("%s", error.detail if isinstance(error, LookoutError) else error)
            except Exception:  # a bug here must not stop the recording
                log.exception("Recording events failed unexpectedly; it continues.")
                self._retry_s = _MAX_RETRY_S

    def _wait(self) -> bool:
        """Block until there may be work. Return False when the thread is to end."""
        with self._changed:
            if self._retry_s:
                self._wait_for_disk()
            elif not self._stopping and not self._has_work():
                self._changed.wait(_IDLE_S)
            return not self._stopping or (self._has_work() and not self._retry_s)

    def _wait_for_disk(self) -> None:
        """Wait until the next attempt is due, or until a disk that was in trouble has recovered."""
        storage, was_in_trouble = self._store.storage, False
        ends = time.monotonic() + self._retry_s
        while not self._stopping and (left := ends - time.monotonic()) > 0:
            in_trouble = storage.trouble() is not None
            if was_in_trouble and not in_trouble:
                return
            was_in_trouble = in_trouble
            self._changed.wait_for(lambda: self._stopping, min(left, _IDLE_S))

    def _has_work(self) -> bool:
        return bool(self._waiting) or self._run_row is not None

    def flush(self) -> bool:
        """Write one batch of the waiting records. Returns whether that succeeded."""
        try:
            self._prepare()
            self._write()
        except LookoutError as error:
            if self._trouble is None or self._trouble.detail != error.detail:
                log.warning("Events wait in memory until they can be kept: %s", error.detail)
            self._trouble = error
            self._retry_s = min(_MAX_RETRY_S, self._retry_s * 2 or _FIRST_RETRY_S)
            self._publish_unwritten()
            return False
        self._retry_s = 0.0
        return True

    def _prepare(self) -> None:
        """Before the first write, close the events that an earlier process left open, at their last stamp."""
        if self._prepared or self._is_nothing():
            return

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute("UPDATE events SET open = 0, cut = 1 WHERE open = 1").rowcount

        cut = self._store.database.write(work, reserved=False)
        if cut:
            log.info("%d %s cut short when Lookout last ended.", cut, "event was" if cut == 1 else "events were")
        self._prepared = True

    def _is_nothing(self) -> bool:
        """Whether nothing was ever stored and nothing waits: with events switched off, no file is created."""
        with self._changed:
            return not self._waiting and self._run_row is None and not self._store.database.is_there()

    def _write(self) -> None:
        with self._changed:
            batch = list(self._waiting)[:_BATCH]
            run_row, shift = self._run_row, self._shift
        if self._is_nothing() or not (batch or run_row is not None or shift is not None):
            return
        for record in batch:
            if record.shot is not None and not record.is_open and record.pictures is None:
                self._develop(record)
        with self._changed:
            for record in batch:
                self._waiting.pop(record, None)
            written = [(record, dict(record.row), record.is_open) for record in batch]
        try:
            self._store.database.write(
                lambda connection: self._write_rows(connection, written, run_row, shift),
                reserved=False,
                committed=_assign_ids,
            )
        except LookoutError:
            with self._changed:
                self._waiting = {**dict.fromkeys(batch), **self._waiting}
                self._bound()
            raise
        with self._changed:
            self._run_row = None if self._run_row is run_row else self._run_row
            self._shift = None if self._shift is shift else self._shift
        if self._trouble is not None:
            log.info("Events are kept again.")
        self._trouble = None
        for record, _, was_open in written:
            if not was_open:
                self._keep_pictures(record)
            self._publish(record, was_open)

    def _write_rows(
        self,
        connection: sqlite3.Connection,
        written: list[tuple[Record, dict[str, Any], bool]],
        run_row: dict[str, Any] | None,
        shift: tuple[str, float] | None,
    ) -> list[tuple[Record, int]]:
        """Write the rows, in a transaction on the writer's thread. Returns the new records with their ids."""
        if shift is not None:
            _move(connection, *shift)
        new = []
        for record, row, was_open in written:
            if row["kind"] == "seen" and not was_open and row.get("doubt") is None and _is_rare(connection, record):
                row["doubt"] = record.row["doubt"] = "new"
            if row["kind"] == "model_changed" and record.id is None and not _is_news(connection, row):
                record.gone = True
            elif record.id is None:
                number = insert(connection, "events", row)
                new.append((record, number))
                if not was_open:
                    _add_details(connection, number, record)
            elif not record.gone:
                record.gone = not update(connection, record.id, row)
                if not was_open and not record.gone:
                    _add_details(connection, record.id, record)
        if run_row is not None:
            insert_or_stamp(connection, run_row)
        return new

    # --- pictures -----------------------------------------------------------------------------------------------------

    def _develop(self, record: Record) -> None:
        """Encode the shot and compute its embedding, off the camera loop, unless there is no space for the picture."""
        shot, record.shot = record.shot, None
        assert shot is not None
        record.row["region"] = region_of(shot)
        trouble = self._store.storage.trouble()
        if record.gone or (trouble is not None and not isinstance(trouble, DiskVolatile)):
            self.without_picture += 1
            return
        pictures = (shots.jpeg(shot), shots.webp(shot))
        record.pictures = pictures
        month = datetime.fromtimestamp(record.row["started"], UTC).strftime("%Y-%m")
        record.row.update(folder=month, bytes=len(pictures[0]) + len(pictures[1]))
        described = self._embed(shot.part) if self._embed is not None else None
        if described is not None and record.row.get("model") is not None:
            used, embedding = described
            if record.event().model == used:
                record.embedding = embedding

    def _keep_pictures(self, record: Record) -> None:
        """Write the pictures, after the row. If they do not fit, the row is corrected."""
        pictures, record.pictures = record.pictures, None
        number, folder = record.id, record.row.get("folder")
        if pictures is None or number is None or folder is None or record.gone:
            return

        def work(writer: Writer) -> None:
            _refuse_if_scarce(self._store.folder)
            writer.replace(self._store.picture_path(number, folder, "jpg"), pictures[0], spare=True)
            writer.replace(self._store.picture_path(number, folder, "webp"), pictures[1], spare=True)

        try:
            self._store.storage.run(work, reserved=False)
            self._picture_trouble = None
        except LookoutError as error:
            self.without_picture += 1
            self._picture_trouble = EventsLimited(f"Events are kept without pictures: {error.detail}", error.remedy)
            self._strike(record, number)

    def _strike(self, record: Record, number: int) -> None:
        """Correct the row: it has no picture after all. If that cannot be written either, the sweep does it later."""
        record.row.update(folder=None, bytes=0)
        with contextlib.suppress(LookoutError):
            self._store.database.write(
                lambda connection: update(connection, number, {"folder": None, "bytes": 0}), reserved=False
            )

    # --- news ---------------------------------------------------------------------------------------------------------

    def _publish(self, record: Record, was_open: bool) -> None:
        """Publish each piece of news once, whether or not the record could be written."""
        kind = record.row["kind"]
        if record.gone or kind == "quiet" or (kind == "model_changed" and record.id is None):
            return  # only the database knows whether the model has changed
        what = ["begun"] if was_open else ["begun", "ended"]
        for each in what:
            if each in record.sent or (each == "begun" and not was_open and record.row["kind"] != "seen"):
                continue
            record.sent.add(each)
            picture = None
            if self._feed.is_watched and record.shot is not None and each == "begun":
                picture = shots.jpeg(record.shot)
            self._feed.publish(News("begun" if each == "begun" else "ended", record.event(), picture))

    def _publish_unwritten(self) -> None:
        with self._changed:
            waiting = list(self._waiting)
        for record in waiting:
            self._publish(record, record.is_open)

    def write_now(self, record: Record) -> Record:
        """Wait until the record is on disk and return it with its id. Raises StateFolderUnusable, DiskBudgetSpent."""
        if record.shot is not None:
            self._develop(record)
        self._store.database.write(
            lambda connection: self._write_rows(connection, [(record, dict(record.row), False)], None, None),
            committed=_assign_ids,
        )
        self._keep_pictures(record)
        self._publish(record, False)
        return record


def _assign_ids(new: list[tuple[Record, int]]) -> None:
    """Assign the ids once the rows are durable, even if the caller has given up in the meantime."""
    for record, number in new:
        record.id = number


def _add_details(connection: sqlite3.Connection, number: int, record: Record) -> None:
    if record.curve is not None or record.embedding is not None:
        connection.execute(
            "INSERT OR REPLACE INTO details (id, curve, embedding) VALUES (?, ?, ?)",
            (number, record.curve, record.embedding),
        )


def _is_rare(connection: sqlite3.Connection, record: Record) -> bool:
    """Whether the label is new here, so that nobody has yet seen how good its answers are in this place."""
    known = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM daily WHERE kind = 'seen' AND label = ?", (record.row["label"],)
    ).fetchone()[0]
    return int(known) - (record.id is not None) < _RARE


def _is_news(connection: sqlite3.Connection, row: dict[str, Any]) -> bool:
    """Whether the model differs from the one last noted, in this run or an earlier one."""
    before = connection.execute("SELECT value FROM notes WHERE key = 'model'").fetchone()
    if before is not None and before[0] == row["why"]:
        return False
    connection.execute("INSERT OR REPLACE INTO notes VALUES ('model', ?)", (row["why"],))
    return before is not None


def insert_or_stamp(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    names = ", ".join(row)
    holes = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT OR REPLACE INTO runs ({names}) VALUES ({holes})", row)


def _move(connection: sqlite3.Connection, boot: str, offset: float) -> None:
    """Correct the times of rows that this boot wrote before the clock was right, from their monotonic start."""
    for table in ("events", "runs"):
        connection.execute(
            f"UPDATE {table} SET ended = mono_start + :offset + (ended - started), started = mono_start + :offset, "
            "clock_ok = 1 WHERE boot = :boot AND clock_ok = 0",
            {"offset": offset, "boot": boot},
        )


def _refuse_if_scarce(folder: Path) -> None:
    """Raise OSError if so little space is left that it is reserved for rows."""
    disk = os.statvfs(folder)
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < _FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
