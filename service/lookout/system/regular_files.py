"""Opens files that somebody else may have put there: regular files only, no larger than allowed.

A link could lead out of its folder; a pipe or a device could block the reader or never end. A refusal is an OSError
like any other error of reading a file, with a reason that fits into a sentence.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


class NotRegular(OSError):
    """The path is not a regular file, or the file is larger than allowed."""


def open_regular(path: Path, max_bytes: int, *, follow_links: bool = False) -> BufferedReader:
    """Open a regular file of at most `max_bytes` for reading, without waiting for a writer or a device.

    follow_links: for paths that the administrator configured; a file in Lookout's own folders is never a link.
    Raises OSError, including NotRegular.
    """
    _refuse_unless_regular(path, path.stat(follow_symlinks=follow_links), max_bytes)  # opening a device may act on it
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    descriptor = os.open(path, flags if follow_links else flags | os.O_NOFOLLOW)
    try:
        _refuse_unless_regular(path, os.fstat(descriptor), max_bytes)  # it may have been replaced meanwhile
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, max_bytes: int, *, follow_links: bool = False) -> bytes:
    """Return the content of such a file. Raises OSError, including NotRegular; also if the file grows meanwhile."""
    with open_regular(path, max_bytes, follow_links=follow_links) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise _too_large(path, max_bytes)
    return content


def _refuse_unless_regular(path: Path, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise NotRegular(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    if status.st_size > max_bytes:
        raise _too_large(path, max_bytes)


def _too_large(path: Path, max_bytes: int) -> NotRegular:
    return NotRegular(errno.EFBIG, f"it is larger than {max_bytes} bytes", str(path))
