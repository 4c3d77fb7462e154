"""Events on disk: rows and pictures, all changes to them, and undo for ten minutes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lookout.events import changes, queries
from lookout.events.database import Database
from lookout.events.errors import EventsUnavailable, NoPicture, NothingToUndo
from lookout.events.event import Event
from lookout.events.queries import Filter
from lookout.storage import Storage
from lookout.system.regular_files import read_regular

UNDO_S = 600.0
# Steps that can be undone, the newest first; a step may cover many events.
_MAX_STEPS = 50
MAX_BATCH = 1000
_MAX_PICTURE_BYTES = 4 * 2**20
Ending = Literal["jpg", "webp"]
_ENDINGS: tuple[Ending, ...] = ("jpg", "webp")
_DISCARDED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Step:
    """A change and how to undo it. made_at: monotonic seconds. before: the marks before it; None: it was a deletion."""

    made_at: float
    ids: tuple[int, ...]
    before: changes.Before | None


@dataclass(frozen=True, slots=True)
class Undone:
    """The events as they are again. deleted: whether a deletion was undone; otherwise it was a mark."""

    events: list[Event]
    deleted: bool


class Store:
    """events/ in the state folder. The methods may wait for the disk: call them only on threads that may block."""

    def __init__(
        self,
        state_folder: Path,
        storage: Storage,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """clock, wall: monotonic and Unix seconds."""
        self.folder = state_folder / "events"
        self.storage = storage
        self.database = Database(self.folder, storage)
        self._clock, self._wall = clock, wall
        self._lock = threading.Lock()
        self._steps: deque[_Step] = deque(maxlen=_MAX_STEPS)

    # --- reading ------------------------------------------------------------------------------------------------------

    def page(self, wanted: Filter, before: int | None = None, limit: int = 50) -> tuple[list[Event], int | None]:
        """See `queries.page`. Raises EventsUnavailable."""
        return self.database.read(lambda connection: queries.page(connection, wanted, before, limit))

    def get(self, number: int) -> Event:
        """Return the event. Raises UnknownEvent, EventsUnavailable."""
        return self.database.read(lambda connection: queries.one(connection, number))

    def several(self, ids: list[int]) -> list[Event]:
        return self.database.read(lambda connection: queries.several(connection, ids))

    def curve(self, number: int) -> bytes | None:
        """Return the curve as `curve.pack` made it. Raises UnknownEvent, EventsUnavailable."""
        return self.database.read(lambda connection: queries.curve(connection, number))

    def picture(self, number: int, ending: Ending) -> bytes:
        """Return the best frame (jpg) or its thumbnail (webp). Raises UnknownEvent, NoPicture, EventsUnavailable."""
        folder = self.database.read(lambda connection: queries.picture_folder(connection, number))
        missing = NoPicture(
            f"Event {number} has no picture.",
            "None is kept with events.pictures none, in quiet hours, or on a full disk.",
        )
        if folder is None:
            raise missing
        try:
            return read_regular(self.picture_path(number, folder, ending), _MAX_PICTURE_BYTES)
        except FileNotFoundError:
            raise missing from None
        except OSError as error:
            raise EventsUnavailable(
                f"The picture of event {number} cannot be read: {error.strerror or error}.", "Look at the disk."
            ) from error

    def picture_path(self, number: int, folder: str, ending: Ending) -> Path:
        return self.folder / folder / f"{number}.{ending}"

    # --- people's changes ---------------------------------------------------------------------------------------------

    def numbers(self, wanted: Filter, most: int = MAX_BATCH) -> list[int]:
        return self.database.read(lambda connection: queries.numbers(connection, wanted, most))

    def mark(self, ids: Sequence[int], values: Mapping[str, Any], *, one: bool = False) -> list[Event]:
        """Set right, kept or note; return the events as they are now. `undo` reverts it.

        one: there is a single event, and it must exist. Raises UnknownEvent, StateFolderUnusable, DiskBudgetSpent.
        """

        def work(connection: Any) -> changes.Before:
            if one:
                changes.check_there(connection, ids[0])
            return changes.mark(connection, ids, values, self._wall())

        before = self.database.write(work)
        marked = [int(each["id"]) for each in before]
        self._remember(marked, before)
        return self.several(marked)

    def delete(self, ids: Sequence[int], *, one: bool = False) -> list[Event]:
        """Hide the events now and delete them for good in ten minutes; return them. `undo` reverts it.

        one: there is a single event, and it must exist. Raises UnknownEvent, StateFolderUnusable, DiskBudgetSpent.
        """

        def work(connection: Any) -> list[Event]:
            if one:
                changes.check_there(connection, ids[0])
            events = queries.several(connection, list(ids))
            changes.to_trash(connection, ids)
            return events

        events = self.database.write(work)
        self._remember([event.id for event in events], None)
        return events

    def undo(self) -> Undone:
        """Undo the latest change. Raises NothingToUndo, StateFolderUnusable, DiskBudgetSpent."""
        with self._lock:
            step = self._steps.pop() if self._steps else None
        if step is None or self._clock() - step.made_at > UNDO_S:
            raise NothingToUndo("Nothing was changed in the last ten minutes.", "What was deleted before is gone.")
        try:
            back = self.database.write(
                lambda connection: (
                    changes.from_trash(connection, step.ids)
                    if step.before is None
                    else changes.mark_back(connection, step.before)
                )
            )
        except BaseException:
            with self._lock:
                self._steps.append(step)
            raise
        return Undone(self.several(back), step.before is None)

    def undo_left_s(self) -> float | None:
        """Return for how many seconds the latest change can still be undone; None if there is none."""
        with self._lock:
            left = UNDO_S - (self._clock() - self._steps[-1].made_at) if self._steps else 0.0
        return left if left > 0 else None

    def _remember(self, ids: Sequence[int], before: changes.Before | None) -> None:
        if ids:
            with self._lock:
                self._steps.append(_Step(self._clock(), tuple(ids), before))

    def purge(self, *, everything: bool = False) -> int:
        """Remove for good what was deleted more than ten minutes ago; return the number of events. Raises like `write`.

        everything: also recent deletions, for the start of the service, when nothing can be undone any more.
        """
        now = self._clock()
        with self._lock:
            while self._steps and (everything or now - self._steps[0].made_at > UNDO_S):
                self._steps.popleft()
            held = {number for step in self._steps if step.before is None for number in step.ids}
        in_trash = self.database.read(lambda connection: [row[0] for row in connection.execute("SELECT id FROM trash")])
        ids = [number for number in in_trash if number not in held]
        if not ids:
            return 0
        pictures = self.database.write(lambda connection: changes.empty_trash(connection, ids))
        self.remove_pictures(pictures)
        return len(ids)

    def delete_now(self, ids: Sequence[int], *, reserved: bool = True) -> int:
        """Delete rows, embeddings and pictures at once and for good; return how many events. Raises like `write`."""
        pictures = self.database.write(lambda connection: changes.delete(connection, ids), reserved=reserved)
        self.remove_pictures(pictures)
        return len(ids)

    def delete_all(self) -> int:
        """Delete all events, also in the trash, but not the times of the runs. Return how many events were deleted.

        Raises like `write`, and EventsUnavailable.
        """
        count = self.database.read(lambda connection: connection.execute("SELECT count(*) FROM events").fetchone()[0])
        self.database.empty(("runs", "notes"))
        with self._lock:
            self._steps.clear()
        self._discard(list(self.folder.glob("????-??/*")))
        return int(count)

    def remove_pictures(self, pictures: Sequence[tuple[int, str]]) -> None:
        """Remove the pictures of deleted rows. Raises StateFolderUnusable; the next sweep removes what is left then."""
        if not pictures:
            return

        self._discard([self.picture_path(number, folder, ending) for number, folder in pictures for ending in _ENDINGS])

    def _discard(self, paths: Sequence[Path]) -> None:
        """Remove files a few at a time, so that other jobs of the writer can run in between."""
        for start in range(0, len(paths), _DISCARDED_AT_ONCE):
            some = paths[start : start + _DISCARDED_AT_ONCE]
            self.storage.run(lambda writer, some=some: writer.discard(some))  # type: ignore[misc]

    def close(self) -> None:
        self.database.close()
