"""One service per state folder: two would overwrite each other's changes, and open a camera that one has paused."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookout.errors import DiskSlow, StateFolderInUse
from lookout.storage.timeout import with_timeout

LOCK_FILE = "lock"
_MAX_BYTES = 4096
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Raised on file systems that have no locks, such as some network shares, or on which no file can be created. There, a
# second service is not detected.
_CANNOT_LOCK = frozenset(
    (
        *(errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP),
        *(errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO),
    )
)


@dataclass(frozen=True, slots=True)
class Holder:
    """The service that uses a state folder. address: where it listens; empty if that was not recorded."""

    process: int
    folder: Path
    address: str = ""


class Hold:
    """The state folder from the view of the service that holds its lock."""

    def __init__(self, path: Path | None) -> None:
        """path: of the lock file; None if there is no lock."""
        self._path = path

    def note(self, address: str) -> None:
        """Record where this service listens, for other commands on this machine."""
        path = self._path
        if path is not None:
            with contextlib.suppress(OSError, DiskSlow):
                with_timeout(path, lambda: _sign(path, address))


@contextlib.contextmanager
def sole_use(folder: Path) -> Iterator[Hold]:
    """Lock the folder against other services until the end of the block, or of the process, however that ends.

    Raises StateFolderInUse, which names the other process.
    """
    try:
        lock = with_timeout(folder, lambda: _lock(folder))
    except DiskSlow:  # reported by the code that stores data there
        lock = None
    try:
        yield Hold(None if lock is None else folder / LOCK_FILE)
    finally:
        if lock is not None:
            os.close(lock)


def holder_of(folder: Path) -> Holder | None:
    """Return this user's service that uses the folder now; None if there is none or it is not visible."""
    lines = [b""]
    with contextlib.suppress(OSError, DiskSlow):
        lines = with_timeout(folder, lambda: _read(folder / LOCK_FILE)).split(b"\n")
    number = lines[0].decode("ascii", "replace")
    if not number.isdecimal() or folder.resolve() / LOCK_FILE not in _locks_open_in(Path("/proc", number)):
        return None
    return Holder(int(number), folder, lines[2].decode("utf-8", "replace").strip() if len(lines) > 2 else "")


def holders() -> list[Holder]:
    """Return all services of this user, with the same home folder, that hold a state folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_ours = process.stat().st_uid == os.geteuid() and b"lookout" in (process / "cmdline").read_bytes()
            home = os.environ.get("HOME", "").encode()
            if is_ours and b"HOME=" + home in (process / "environ").read_bytes().split(b"\0"):
                found += [Holder(int(process.name), lock.parent) for lock in _locks_open_in(process)]
    return found


def _locks_open_in(process: Path) -> set[Path]:
    """Return the lock files that a process has open; empty if this process may not see that."""
    found = set()
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(link.readlink())
    return {path for path in found if path.name == LOCK_FILE}


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | _SAFELY)
    try:
        return os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Return the descriptor that holds the lock; None if the folder cannot be locked."""
    path = folder / LOCK_FILE
    try:
        # Not opened for writing, because that would keep the disk from being remounted read-only.
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | _SAFELY, 0o600)
    except OSError:  # the checks of the folder report what is wrong with it
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):  # a full disk: the lock holds, but does not name its owner
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


def _sign(path: Path, address: str = "") -> None:
    writing = os.open(path, os.O_WRONLY | os.O_TRUNC | _SAFELY)
    try:
        os.write(writing, f"{os.getpid()}\n{_this_command()}\n{address}\n".encode())
    finally:
        os.close(writing)


def _holder(descriptor: int) -> str:
    """Return the lock's owner as the end of a sentence; empty if it is unknown."""
    with contextlib.suppress(OSError, ValueError):
        number, command = os.pread(descriptor, _MAX_BYTES, 0).decode("utf-8", "replace").split("\n")[:2]
        return f": process {int(number)} ({command.strip()[:100]})"
    return ""


def _this_command() -> str:
    """Return `lookout serve` without its flags, since a URL among them may contain a password."""
    return " ".join(["lookout", *(word for word in sys.argv[1:2] if not word.startswith("-"))])
