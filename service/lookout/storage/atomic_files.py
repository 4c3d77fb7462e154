"""Files that survive a power cut with either the old or the new content, never a mixture."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from typing_extensions import Buffer

# Between chunks, other work can run; a chunk is small enough to be written quickly even to a slow card.
_CHUNK_BYTES = 2**20
# The name contains the writing process's id, which identifies what a power cut or a kill has left behind.
_TEMPORARY = re.compile(r"\..+\.(\d+)\.new")


def _nothing() -> None:
    pass


def replace_file(
    path: Path,
    content: Buffer,
    *,
    between: Callable[[], None] = _nothing,
    commit: Callable[[], None] = _nothing,
    mode: int = 0o600,
) -> None:
    """Replace a file atomically, synced to disk; unless `mode` says otherwise, only its owner can read it.

    between: called after each chunk. commit: called right before the rename; if it raises, nothing is replaced.
    Raises OSError; then the old file is still there, unless only syncing the rename failed.
    """
    with replacement(path) as temporary:
        _write_synced(temporary, memoryview(content), between, mode)
        commit()


@contextlib.contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Yield a path for the content that replaces `path` when the block ends, by when it must be synced.

    If the block raises, nothing is replaced. Raises OSError.
    """
    temporary = _temporary(path.parent, path.name)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def _write_synced(path: Path, content: memoryview, between: Callable[[], None], mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        for start in range(0, len(content), _CHUNK_BYTES):
            rest = content[start : start + _CHUNK_BYTES]
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            between()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_file(path: Path, *, commit: Callable[[], None] = _nothing) -> None:
    """Remove a file durably; a missing file counts as removed. Raises OSError."""
    commit()
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, for the owner only, durably. Raises OSError."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder durable: otherwise ext4 would write it seconds later."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def probe_folder(folder: Path) -> None:
    """Check that a file can be created in the folder and synced. Raises OSError."""
    probe = _temporary(folder, "writable")
    _write_synced(probe, memoryview(b""), _nothing)
    probe.unlink()


def sweep_folder(folder: Path) -> None:
    """Remove half-written files of processes that no longer exist."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found and not _is_another_running(int(found[1])):
                with contextlib.suppress(OSError):
                    path.unlink()


def _temporary(folder: Path, name: str) -> Path:
    return folder / f".{name}.{os.getpid()}.new"


def _is_another_running(process: int) -> bool:
    return process != os.getpid() and Path(f"/proc/{process}").exists()
