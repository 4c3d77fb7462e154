"""How much may be written per day and stored in total, because SD cards wear out with writes, and fill up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lookout.errors import DiskBudgetSpent
from lookout.storage.atomic_files import make_folder, replace_file
from lookout.system.regular_files import read_regular

COUNT_FILE = "written.json"
# The count on disk is ahead of the true one by at most this: it costs one extra write per 256 KiB, not per write.
_STEP_BYTES = 256 * 1024
_STEPS_A_DAY = 64
# One sixteenth of both budgets is reserved for people's own changes, whatever caches and histories have used.
_RESERVED = 16
_MAX_COUNT_BYTES = 4096
# Models that people added are not counted: only they delete them.
_NOT_COUNTED = "models"
_UNLIMITED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Limits:
    """In bytes, per day and in total; by default unlimited. `StateSettings.limits` returns the settings' limits."""

    per_day: int = _UNLIMITED
    total: int = _UNLIMITED


def utc_day() -> str:
    """Return the day of the budget in UTC, such as 2026-05-01. A clock that jumps at worst starts another day."""
    return datetime.now(UTC).date().isoformat()


class Budget:
    """Admits writes and counts them. Not thread-safe: for one thread at a time."""

    def __init__(
        self, limits: Limits, state_folder: Path, folders: Iterable[Path], today: Callable[[], str] = utc_day
    ) -> None:
        """folders: all folders that are written to, including the state folder."""
        self._limits = limits
        self._folders = tuple(dict.fromkeys(folders))
        self._count = DayCount(state_folder / COUNT_FILE, min(_STEP_BYTES, limits.per_day // _STEPS_A_DAY), today)
        self._kept: int | None = None

    def admit(self, size: int, growth: int, *, reserved: bool, spare: bool = False) -> None:
        """Call before a write of `size` bytes that makes the folders grow by `growth`.

        reserved: may use the last sixteenth. spare: leaves a second sixteenth to more important writes.
        Raises DiskBudgetSpent, and OSError if the count itself cannot be written.
        """
        if refusal := self._refusal(size, growth, _part(reserved, spare)):
            raise refusal
        self._count.run_ahead(size)

    def charge(self, size: int, growth: int) -> None:
        """Call after the write, with what it really wrote."""
        self._count.add(size)
        if self._kept is not None:
            self._kept += growth

    def spent(self) -> DiskBudgetSpent | None:
        """Return the error to report while only people's own changes are still written; None otherwise."""
        refusal = self._refusal(1, 1, _part(False, False))
        return (
            None
            if refusal is None
            else DiskBudgetSpent(
                "The budget for writing to disk is spent: only changes that you make are kept.",
                refusal.remedy,
            )
        )

    def _refusal(self, size: int, growth: int, left: int) -> DiskBudgetSpent | None:
        written = self._count.written
        if size and written + size > _share(self._limits.per_day, left):
            allowed = _allowed("state.max_bytes_per_day", self._limits.per_day, left)
            return DiskBudgetSpent(
                f"Lookout has written {_words(written)} to disk today; {_words(size)} more would exceed {allowed}.",
                "Wait until midnight UTC, or raise state.max_bytes_per_day and restart.",
            )
        if growth > 0 and self._would_overflow(growth, left):
            allowed = _allowed("state.max_bytes", self._limits.total, left)
            return DiskBudgetSpent(
                f"Lookout keeps {_words(self._kept or 0)} on disk; {_words(growth)} more would exceed {allowed}.",
                "Delete the cache folder, or raise state.max_bytes and restart.",
            )
        return None

    def _would_overflow(self, growth: int, left: int) -> bool:
        limit = _share(self._limits.total, left)
        if self._kept is not None and self._kept + growth <= limit:
            return False
        self._kept = _bytes_below(self._folders)  # recounted before a refusal, because files may have been deleted
        return self._kept + growth > limit


class DayCount:
    """Bytes written today, kept across restarts.

    The file never contains less than was really written: it is advanced in steps, so that counting costs one write per
    step, and after a kill the next process counts at most one step too much.
    """

    def __init__(self, path: Path, step: int, today: Callable[[], str]) -> None:
        self._path, self._step, self._today = path, step, today
        self._day = ""
        self._bytes = 0
        self._ahead = 0

    @property
    def written(self) -> int:
        self._start_new_day()
        return self._bytes

    def run_ahead(self, size: int) -> None:
        """Make the file cover `size` more bytes. Raises OSError."""
        self._start_new_day()
        if self._bytes + size <= self._ahead:
            return
        known = max(self._ahead, self._read())
        self._bytes += known - self._ahead  # another process is writing as well
        self._ahead = known
        ahead = self._bytes + size + self._step
        content = json.dumps({"day": self._day, "bytes": ahead}).encode()
        make_folder(self._path.parent)
        replace_file(self._path, content)
        self._ahead = ahead
        self._bytes += len(content)

    def add(self, size: int) -> None:
        """Count bytes that have been written."""
        self._bytes += size

    def _start_new_day(self) -> None:
        if self._day != (day := self._today()):
            self._day = day
            self._bytes = self._ahead = self._read()

    def _read(self) -> int:
        """Return the file's count for today; 0 if it is unreadable."""
        try:
            kept = json.loads(read_regular(self._path, _MAX_COUNT_BYTES))
            return max(0, int(kept["bytes"])) if kept["day"] == self._day else 0
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return 0


def _part(reserved: bool, spare: bool) -> int:
    """Return how many sixteenths of the budget must be left."""
    return 0 if reserved else 2 if spare else 1


def _share(limit: int, left: int) -> int:
    return limit - left * (limit // _RESERVED)


def _allowed(setting: str, limit: int, left: int) -> str:
    return f"{setting} ({_words(limit)}{'' if not left else ' less a reserve for changes that you make'})"


def _bytes_below(folders: Iterable[Path]) -> int:
    sizes: dict[tuple[int, int], int] = {}  # by file, in case one folder is inside the other
    for top in folders:
        for folder, inside, files in os.walk(top):
            if Path(folder) == top and _NOT_COUNTED in inside:
                inside.remove(_NOT_COUNTED)
            for name in files:
                try:
                    status = (Path(folder) / name).lstat()
                except OSError:  # removed meanwhile
                    continue
                sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def _words(size: int) -> str:
    """Return the size in words: 3 bytes, 47 KiB, 200 MiB."""
    if size < 2**10:
        return f"{size} byte{'' if size == 1 else 's'}"
    return f"{size / 2**10:.0f} KiB" if size < 2**20 else f"{size / 2**20:.0f} MiB"
