"""Finds out what is wrong with the disk under the state folder: missing, read-only, full or failing."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from lookout.errors import DiskFailing, DiskFull, DiskGone, DiskReadOnly, DiskSlow, DiskVolatile, StateFolderUnusable
from lookout.storage.atomic_files import probe_folder
from lookout.storage.budget import COUNT_FILE
from lookout.storage.volatile import is_under_overlay

# With less free space than this, not even a change of settings fits.
_FULL_BYTES = 16 * 1024
_GOES_ON = "answers go on, but changes are not kept"


class DiskWatch:
    """Remembers which disk the folder was on, and whether the last write failed. For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._device: int | None = None
        self._had_content = False
        self._failure: OSError | None = None
        self._checked_device: int | None = None
        self._is_volatile = False

    def wrote(self, failure: OSError | None) -> None:
        """Record the result of the last write."""
        self._failure = failure
        if failure is None:
            self._had_content = True

    def look(self) -> StateFolderUnusable | None:
        """Return what is wrong now. Writes only to test whether a disk that failed still fails."""
        try:
            if self.is_gone():
                return self._gone()
            with contextlib.suppress(FileNotFoundError):  # no state folder yet: nothing was stored so far
                if trouble := self._trouble(os.statvfs(self._folder)):
                    return trouble
                self._retry()
        except OSError as error:
            return trouble_of(self._folder, error)
        return self._volatile()

    def refuse_if_gone(self) -> None:
        """Raise DiskGone if the disk is missing: below its mount point, writes would land on another disk."""
        if self.is_gone():
            raise self._gone()

    def is_gone(self) -> bool:
        """Whether the folder is on another disk than before and lacks its former content. Raises OSError."""
        device, has_content = self._seen()
        if self._device is not None and device != self._device and self._had_content and not has_content:
            return True
        self._device, self._had_content = device, has_content
        return False

    def _seen(self) -> tuple[int, bool]:
        """Return the device, and whether the former content is there, both of the same disk. Raises OSError."""
        device = _device(self._folder)
        while True:
            has_content = (self._folder / COUNT_FILE).exists()
            before, device = device, _device(self._folder)
            if device == before:  # else the disk was exchanged in between, and the content is another one's
                return device, has_content

    def _trouble(self, disk: os.statvfs_result) -> StateFolderUnusable | None:
        if disk.f_flag & os.ST_RDONLY:
            return trouble_of(self._folder, OSError(errno.EROFS, ""))
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < _FULL_BYTES:
            return trouble_of(self._folder, OSError(errno.ENOSPC, ""))
        return None

    def _retry(self) -> None:
        if self._failure is not None:
            probe_folder(self._folder)
            self._failure = None

    def _volatile(self) -> DiskVolatile | None:
        if self._checked_device != self._device:  # this changes only with the disk
            self._checked_device, self._is_volatile = self._device, is_under_overlay(self._folder)
        if not self._is_volatile:
            return None
        return DiskVolatile(
            f"{self._folder} is on an overlay in memory: changes last until the next restart and are then lost.",
            "Turn the overlay off (sudo raspi-config, Performance Options), or set state.folder to a disk.",
        )

    def _gone(self) -> DiskGone:
        return DiskGone(
            f"The disk that holds {self._folder} is gone: {_GOES_ON}.",
            "Plug it in and mount it again; Lookout finds it by itself.",
        )


def slow(folder: Path) -> DiskSlow:
    """Return the error for an operation that does not return."""
    return DiskSlow(
        f"The disk that holds {folder} does not answer: {_GOES_ON}.",
        "Check its plug, card or network; `sudo dmesg` shows more. Lookout goes on by itself when it answers.",
    )


def trouble_of(folder: Path, error: OSError) -> StateFolderUnusable:
    """Return the Lookout error for an operating system error."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"The disk that holds {folder} is full: {_GOES_ON}.",
            "Free some space: sudo apt clean; sudo journalctl --vacuum-size=50M.",
        )
    if error.errno == errno.EROFS:
        return DiskReadOnly(
            f"The disk that holds {folder} is read-only: {_GOES_ON}.",
            "A dying card does that: back up what matters, and write the system to a new card.",
        )
    return DiskFailing(
        f"The disk that holds {folder} fails ({error.strerror or error}): {_GOES_ON}.",
        "Check its plug or card; `sudo dmesg` shows more. Lookout goes on by itself when it works again.",
    )


def _device(folder: Path) -> int:
    """Return the device id of the folder, or of its deepest existing parent. Raises OSError."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return place.stat().st_dev
    return Path("/").stat().st_dev
