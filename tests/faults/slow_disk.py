"""A disk that takes its time, or fails: a folder shown at another place by FUSE, each write and each sync late.

    python -m tests.faults.slow_disk FOLDER PLACE DELAY_FILE [uncached]

DELAY_FILE holds the seconds that a sync takes; a write takes a tenth of them, as on a card that is worn out. It is
looked at anew each time, so a disk can become slow and quick again while it is in use. With "broken BYTES" there,
what lies behind the first BYTES of a file cannot be read. `uncached`: as with some
network shares, files cannot be mapped to be shared. Ends when it is unmounted.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

import mfusepy

_TIMES = ("st_atime", "st_ctime", "st_mtime")
_STAT = ("st_gid", "st_uid", "st_mode", "st_nlink", "st_size", "st_ino")
_STATFS = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize", "f_namemax")


class SlowDisk(mfusepy.Operations):  # type: ignore[misc]
    """Passes everything on to a folder. Raises OSError as that does."""

    use_ns = True

    def __init__(self, folder: Path, delay_file: Path) -> None:
        self._folder = folder
        self._delay_file = delay_file

    def _here(self, path: str) -> Path:
        return self._folder / path.lstrip("/")

    def _rest(self, share: float) -> None:
        order = self._delay_file.read_text()
        delay_s = 0.0 if order.startswith("broken") else float(order or 0)
        if delay_s:
            time.sleep(share * delay_s)

    def _readable_bytes(self) -> float:
        """Of each file."""
        word, _, number = self._delay_file.read_text().partition(" ")
        return int(number) if word == "broken" else float("inf")

    # --- what is slow -------------------------------------------------------------------------------------------------

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        del path
        self._rest(0.1)
        return os.pwrite(fh, data, offset)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        del path, datasync
        self._rest(1.0)
        os.fsync(fh)
        return 0

    # --- what is not --------------------------------------------------------------------------------------------------

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        del path
        if offset + size > self._readable_bytes():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.pread(fh, size, offset)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._here(path), flags)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        del fi
        return os.open(self._here(path), os.O_RDWR | os.O_CREAT, mode)

    def release(self, path: str, fh: int) -> int:
        del path
        os.close(fh)
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._here(path) if fh is None else fh, length)
        return 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = self._here(path).lstat() if fh is None else os.fstat(fh)
        times = {name: getattr(found, f"{name}_ns") for name in _TIMES}
        return times | {name: getattr(found, name) for name in _STAT}

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._here(path))
        return {name: getattr(found, name) for name in _STATFS}

    def readdir(self, path: str, fh: int) -> list[str]:
        del fh
        return [".", "..", *(one.name for one in self._here(path).iterdir())]

    def mkdir(self, path: str, mode: int) -> int:
        self._here(path).mkdir(mode)
        return 0

    def rmdir(self, path: str) -> int:
        self._here(path).rmdir()
        return 0

    def unlink(self, path: str) -> int:
        self._here(path).unlink()
        return 0

    def rename(self, old: str, new: str) -> int:
        self._here(old).replace(self._here(new))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        self._here(path).chmod(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._here(path), uid, gid)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self._here(path), ns=times)
        return 0


if __name__ == "__main__":
    shown, place, delays = map(Path, sys.argv[1:4])
    uncached = "uncached" in sys.argv[4:]
    mfusepy.FUSE(SlowDisk(shown, delays), str(place), foreground=True, default_permissions=True, direct_io=uncached)
