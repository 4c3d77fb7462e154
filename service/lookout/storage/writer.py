"""Writes of one job: within the budget, atomic, synced to disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from typing_extensions import Buffer

from lookout.storage.atomic_files import make_folder, remove_file, replace_file
from lookout.storage.budget import Budget


class Writer:
    """The operations that a job may use. Every method raises OSError, and DiskBudgetSpent if it writes."""

    def __init__(
        self, budget: Budget, *, reserved: bool, between: Callable[[], None], commit: Callable[[], None]
    ) -> None:
        """reserved: for changes by people. between, commit: see `atomic_files.replace_file`."""
        self._budget = budget
        self._reserved = reserved
        self._between = between
        self._commit = commit

    def replace(self, path: Path, content: Buffer, *, spare: bool = False) -> None:
        """Replace a file atomically. Missing folders are created, for the owner only.

        spare: refuse this write earlier than others when the budget runs out.
        """
        size = memoryview(content).nbytes
        growth = size - _size(path)
        self._budget.admit(size, growth, reserved=self._reserved, spare=spare)
        make_folder(path.parent)
        replace_file(path, content, between=self._between, commit=self._commit)
        self._budget.charge(size, growth)

    def remove(self, path: Path) -> None:
        """Remove a file; allowed even if the budget is spent."""
        size = _size(path)
        remove_file(path, commit=self._commit)
        self._budget.charge(0, -size)

    def discard(self, paths: Iterable[Path]) -> None:
        """Remove files without syncing each: after a power cut, a sweep would find them again."""
        for path in paths:
            size = _size(path)
            path.unlink(missing_ok=True)
            self._budget.charge(0, -size)

    def mark(self, path: Path) -> None:
        """Create an empty file without syncing it: it only has to outlive this process."""
        path.touch(mode=0o600)

    def trim(self, folder: Path, pattern: str, kept: int) -> None:
        """Remove all but the newest `kept` of a folder's files that match the pattern."""
        files = sorted(folder.glob(pattern), key=_changed_at, reverse=True)
        for path in files[kept:]:
            self.remove(path)

    def admit(self, size: int, growth: int) -> None:
        """For writes by other means, such as a database: call this first, then `commit`, write, and `charge`."""
        self._budget.admit(size, growth, reserved=self._reserved)

    def commit(self) -> None:
        """Call right before the step that takes effect. Raises GivenUp if the caller no longer waits."""
        self._commit()

    def charge(self, size: int, growth: int) -> None:
        self._budget.charge(size, growth)


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_size
    return 0


def _changed_at(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
