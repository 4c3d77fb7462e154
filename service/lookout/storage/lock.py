"""One service a state folder: two would undo each other's changes, and open a camera that was paused in the other."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from lookout.errors import DiskSlow, StateFolderInUse
from lookout.storage.timeout import within

LOCK_FILE = "lock"
_MAX_BYTES = 4096
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# File systems without locks, such as some network shares, and disks on which nothing can be made: two services go
# unnoticed there.
_CANNOT_LOCK = frozenset(
    (
        *(errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP),
        *(errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO),
    )
)


@contextlib.contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold the folder against other services until the end of the block, or of the process, however it ends.

    Raises StateFolderInUse, which names the other's process.
    """
    try:
        lock = within(folder, lambda: _lock(folder))
    except DiskSlow:  # said by whoever keeps something there
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """The descriptor that holds the lock; None where there can be none."""
    path = folder / LOCK_FILE
    try:
        # Not for writing: a file held so would keep the disk from being remounted read-only.
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | _SAFELY, 0o600)
    except OSError:  # the checks of the folder itself say what is wrong with it
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its owner's name
            _sign(path)
    except BlockingIOError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise StateFolderInUse(
            f"Another Lookout uses the state folder {folder}{holder}.",
            "Stop that one (for the service: sudo systemctl stop lookout), or name another folder with --state.folder.",
        ) from error
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise
        os.close(descriptor)
        return None
    return descriptor


def _sign(path: Path) -> None:
    writing = os.open(path, os.O_WRONLY | os.O_TRUNC | _SAFELY)
    try:
        os.write(writing, f"{os.getpid()}\n{_this_command()}\n".encode())
    finally:
        os.close(writing)


def _holder(descriptor: int) -> str:
    """Who holds it, as the end of a sentence; empty where that is not known."""
    with contextlib.suppress(OSError, ValueError):
        number, _, command = os.pread(descriptor, _MAX_BYTES, 0).decode("utf-8", "replace").partition("\n")
        return f": process {int(number)} ({command.strip()[:100]})"
    return ""


def _this_command() -> str:
    """`lookout serve`, without its flags: an address among them may hold a password."""
    return " ".join(["lookout", *(word for word in sys.argv[1:2] if not word.startswith("-"))])
